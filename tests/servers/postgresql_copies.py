#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of a disk on which a PostgreSQL is written to, with and without our hook, and with and
without FIFREEZE: rows that are missing, what was replayed, and how long the start took."""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from harness import namespace, postgresql  # noqa: E402
from harness.postgresql_copies import Copies  # noqa: E402

# times that some 30 MB are written before a copy: what there is to replay
CHURN = 2


def describe(values, unit, digits):
    middle = statistics.median(values)
    return (f"{middle:.{digits}f} {unit} [{min(values):.{digits}f} to"
            f" {max(values):.{digits}f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=20, help="of each kind (20)")
    arguments = parser.parse_args()
    os.umask(0o022)
    namespace.enter()
    lost = 0
    with tempfile.TemporaryDirectory(prefix="quiesced-copies.") as name:
        directory = Path(name)
        directory.chmod(0o755)
        template = postgresql.template(directory / "template")
        with Copies(directory / "copies", template, patience=60 * arguments.copies) as copies:
            kinds = {(frozen, hooked): [] for frozen in (True, False) for hooked in (True, False)}
            for _ in range(arguments.copies):
                for frozen, hooked in kinds:
                    copies.churn(CHURN)
                    kinds[frozen, hooked].append(copies.take(frozen=frozen, hooked=hooked))
            version = copies.server.value("current_setting('server_version')")
    print(f"PostgreSQL {version}, {arguments.copies} copies of each kind;"
          " median [least to most]")
    print(f"{'':24} {'rows acknowledged':>17} {'lost':>5}  {'redo to replay':28} start")
    for (frozen, hooked), found in kinds.items():
        title = f"{'FIFREEZE' if frozen else 'no FIFREEZE'}, {'with us' if hooked else 'without'}"
        lost += sum(one.lost for one in found)
        print(f"{title:24} {sum(one.acknowledged for one in found):17}"
              f" {sum(one.lost for one in found):5}"
              f"  {describe([one.redo / 1e6 for one in found], 'MB', 1):28}"
              f" {describe([one.start for one in found], 's', 2)}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
