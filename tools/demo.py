# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/demo runs once everything is built."""

import argparse
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from harness import mariadb, namespace  # noqa: E402
from harness.experiment import Experiment  # noqa: E402

COLUMNS = (26, 27, 27)


class Paint:
    """Colours, when somebody looks who can see them."""

    def __init__(self):
        self._on = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, colour, text):
        codes = {"good": "32", "bad": "31", "strong": "1", "faint": "2"}
        return f"\033[{codes[colour]}m{text}\033[0m" if self._on and colour else text


paint = Paint()


def say(text=""):
    print(text, flush=True)


def first_number(*command):
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", output)[0]


class Stage:
    """One of the two runs, told line by line."""

    def __init__(self, title):
        say(paint("strong", title))
        self._begin = time.monotonic()

    def tell(self, text):
        say(f"  {time.monotonic() - self._begin:5.2f} s  {text}")


def run_stage(title, directory, template, with_hook, rows):
    stage = Stage(title)
    directory.mkdir()
    with Experiment(directory, template, with_hook, rows) as experiment:
        outcome = experiment.run(stage.tell)
    say()
    return outcome


def milliseconds(seconds):
    return f"{seconds * 1000:.0f} ms"


def row(title, one, other):
    """A line of the table. A cell is (colour, text); a long text takes more lines."""
    cells = [(None, title), one, other]
    wrapped = [textwrap.wrap(text, width - 2) or [""]
               for (_, text), width in zip(cells, COLUMNS)]
    for number in range(max(map(len, wrapped))):
        line = "  "
        for (colour, _), lines, width in zip(cells, wrapped, COLUMNS):
            text = lines[number] if number < len(lines) else ""
            line += paint(colour, text) + " " * (width - len(text))
        say(line.rstrip())


def rule(character="-"):
    say("  " + character * (sum(COLUMNS) - 2))


def table_cell(table):
    if table.clean:
        return ("good", "clean")
    what = "not readable" if table.lost is None else "not clean"
    return ("bad", f"{what}: {' '.join(table.state.split())}")


def rows_cell(outcome):
    total = sum(table.acknowledged for table in outcome.tables.values())
    lost = sum(table.acknowledged if table.lost is None else table.lost
               for table in outcome.tables.values())
    return ("bad", f"{lost} of {total}") if lost else ("good", f"none of {total}")


def verdict_cell(outcome):
    """What our hook said, if there was one, beside what the copy shows."""
    if outcome.record is None:
        return ("faint", "nobody said anything")
    if outcome.record["consistent"]:
        return ("good", "consistent")
    return ("bad", "not consistent")


def copy_cell(outcome):
    return ("good", "whole") if outcome.consistent else ("bad", "damaged")


def show(without, with_hook):
    both = (without, with_hook)
    row("", ("strong", "without a hook"), ("strong", "with quiesced"))
    rule("=")
    row("writers stood still", *((None, milliseconds(outcome.pause)) for outcome in both))
    row("  of it frozen", *((None, milliseconds(outcome.frozen_for)) for outcome in both))
    rule()
    for kind in with_hook.tables:
        row(kind, *(table_cell(outcome.tables[kind]) for outcome in both))
    rule()
    row("acknowledged rows lost", *map(rows_cell, both))
    row("the copied disk is", *map(copy_cell, both))
    row("the verdict at the thaw", *map(verdict_cell, both))
    rule("=")


def show_record(outcome):
    record = outcome.record_in_image
    (app,) = record["apps"]
    say("  The record is a file on the disk itself, record.json in the state directory")
    say("  (/var/lib/quiesced; here on the disk that was copied). In the copy it reads:")
    say()
    lines = {"state": f"{record['state']}: it was so when the disk was copied",
             "cycle": record["cycle"],
             "app": f"{app['name']}: {app['server']}, {app['outcome']} by {app['method']}",
             **app["coordinates"]}
    for key, value in lines.items():
        say(f"    {key:<18}{value}")
    say()
    say(f"  On the live disk it reads '{outcome.record['state']}' by now, with the verdict.")


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=2000, metavar="N",
                        help="that each client writes before the snapshot")
    rows = parser.parse_args().rows
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    namespace.enter()
    say()
    say(f"{paint('strong', 'quiesced')}  MariaDB {first_number('mariadbd', '--version')},"
        f" qemu-ga {first_number('qemu-ga', '--version')}, Linux {platform.release()}")
    say("A disk is frozen by the guest agent, copied, and thawed, while clients write to it.")
    say()
    directory = Path(tempfile.mkdtemp(prefix="quiesced-demo."))
    directory.chmod(0o755)
    try:
        template = mariadb.template(directory / "template")
        without = run_stage("1  qemu-ga without any hook", directory / "1", template,
                            with_hook=False, rows=rows)
        with_hook = run_stage("2  qemu-ga -F, with fsfreeze-hook and quiesced",
                              directory / "2", template, with_hook=True, rows=rows)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    show(without, with_hook)
    say()
    show_record(with_hook)
    say()
    say(paint("faint", f"  {time.monotonic() - begin:.0f} s. Nothing of it is left."))
    return 0 if with_hook.consistent and with_hook.record["consistent"] else 1


if __name__ == "__main__":
    sys.exit(main())
