# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy that was made under each method holds every acknowledged row, in clean tables."""

import os
from pathlib import Path

import pytest

from harness import mariadb, mysql_copy, programs
from harness.flavour import flavour

pytestmark = pytest.mark.skipif(programs.sanitized(), reason="it looks at data, and measures")

METHODS = ["ftwrl"] if flavour().FLAVOUR == "MySQL" else ["ftwrl", "backup-stage"]


@pytest.mark.parametrize("flush", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_a_copy_is_complete_and_clean(directory, method, flush):
    kind = flavour()
    template = mariadb.template(Path(os.environ["QUIESCED_TEST_DIRECTORY"]) / "template", kind)
    outcome = mysql_copy.take(directory / "copy", kind, template, method, flush)
    print(f"{outcome.server} {outcome.method} flush={flush}: lock {outcome.lock_ms} ms,"
          f" freeze {outcome.freeze_ms:.0f} ms, blocked {outcome.blocked_ms:.0f} ms of which"
          f" held {outcome.frozen_ms:.0f} ms, {outcome.lost} of"
          f" {sum(table.acknowledged for table in outcome.tables.values())} rows lost,"
          f" {outcome.states}")
    assert outcome.method == method
    assert outcome.answers_while_held == 0
    assert set(outcome.states.values()) == {"clean"}, outcome.states
    assert outcome.lost == 0
