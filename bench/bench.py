# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark (README.md), once everything is built."""

import argparse
import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "integration"))

from harness import mariadb, namespace, programs  # noqa: E402
from harness.journal import Journal  # noqa: E402

import contenders  # noqa: E402
import startup  # noqa: E402
from report import Report  # noqa: E402
from stall import Round  # noqa: E402


def say(text=""):
    print(text, flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of the comparison [7]")
    parser.add_argument("--hold", type=int, default=200, help="milliseconds frozen [200]")
    parser.add_argument("--only", choices=("stall", "startup"))
    parser.add_argument("--directory", help="where the disks lie, on the disk of the machine"
                        " or in its memory [the one for temporary files]")
    parser.add_argument("--output", type=Path, help="directory [BUILDDIR/bench/results]")
    return parser.parse_args()


def version(*command):
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", text)[0]


def describe_machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    load = " ".join(Path("/proc/loadavg").read_text().split()[:3])
    return (f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores,"
            f" Linux {platform.release()}, MariaDB {version('mariadbd', '--version')},"
            f" load {load}")


def compare(rounds, hold_ms, directory, journal):
    """The results of each round; the contenders' order turns."""
    kinds = contenders.available()
    template = mariadb.template(directory / "template")
    results = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        turned = kinds[number % len(kinds):] + kinds[:number % len(kinds)]
        with Round(directory / f"round-{number}", template, journal, hold_ms) as one:
            results.append(one.run(turned, lambda title: say(f"  {title}")))
        for result in results[-1].values():
            result["hold_ms"] = hold_ms
        shutil.rmtree(directory / f"round-{number}")
    return results


def main():
    args = arguments()
    output = args.output or programs.build_directory() / "bench" / "results"
    output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    namespace.enter()
    directory = Path(tempfile.mkdtemp(prefix="quiesced-bench.", dir=args.directory))
    directory.chmod(0o755)
    machine = describe_machine()
    rounds, starts = [], {}
    try:
        if args.only != "startup":
            with contextlib.closing(Journal()) as journal:
                rounds = compare(args.rounds, args.hold, directory, journal)
        if args.only != "stall":
            say("start-up")
            starts = startup.measure(directory / "startup")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    titles = {kind.name: kind.title for kind in contenders.ALL if rounds and kind.name in rounds[0]}
    report = Report(rounds, starts, titles, machine)
    text = "\n".join(report.lines())
    say()
    say(text)
    (output / "table.md").write_text(text + "\n")
    report.write_json(output / "bench.json")
    if report.plot(output / "stall.svg"):
        say(f"\n{output}/stall.svg shows it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
