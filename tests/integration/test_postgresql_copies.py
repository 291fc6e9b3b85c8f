# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PostgreSQL recovers from copies of its disk. `make check-servers` takes more."""

import os
import tempfile
from pathlib import Path

import pytest

from conftest import SHARED
from harness import postgresql
from harness.postgresql_copies import Copies

COPIES = 1


@pytest.fixture
def copies(journal):
    """In memory: four copies are few enough."""
    template = postgresql.template(Path(os.environ[SHARED]) / "postgresql-template")
    with tempfile.TemporaryDirectory(prefix="copies.", dir="/run") as memory:
        Path(memory).chmod(0o755)
        with Copies(Path(memory) / "copies", template) as copies:
            yield copies


def test_no_acknowledged_row_is_missing_and_little_is_replayed(copies):
    for frozen in (True, False):
        for _ in range(COPIES):
            one = copies.take(frozen=frozen, hooked=True)
            assert one.lost == 0, one
            assert one.acknowledged > 0
    copies.churn(1)
    without = copies.take(frozen=True, hooked=False)
    within = copies.take(frozen=True, hooked=True)
    assert without.lost == within.lost == 0
    assert within.redo < without.redo / 4, (within, without)
