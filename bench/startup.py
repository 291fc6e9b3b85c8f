# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hook costs that has little to do: a freeze and a thaw, start to end."""

import shutil
import subprocess
from pathlib import Path

from harness import programs
from harness.house import House

from contenders import HOUSES, STOCK_HOOK, STOCK_SCRIPTS, bind, unbind

# How many scripts, and how often each contender runs
PLAN = ((0, 200), (1, 60), (10, 30), (100, 7))
NSEC = 1_000_000


def measure(directory, scale=1.0):
    """Per number of scripts, per contender, milliseconds of each run."""
    return {count: _measure(directory / str(count), count, max(5, round(rounds * scale)))
            for count, rounds in PLAN}


def _measure(directory, count, rounds):
    directory.mkdir(parents=True)
    house = House(HOUSES / "startup", state=directory / "state", plugins=())
    scripts = directory / "scripts"
    scripts.mkdir()
    for number in range(count):
        script = scripts / f"{number:03}"
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
    hook = programs.program("fsfreeze-hook")
    lines = {"bare": _bare(scripts, count), "quiesced": f"{hook} freeze {hook} thaw"}
    if STOCK_HOOK.exists():
        lines["stock"] = f"{STOCK_HOOK} freeze {STOCK_HOOK} thaw"
    environment = {**house.environment(), "QUIESCED_HOOKS_PATH": str(scripts),
                   "QUIESCED_LOG_FILE": str(directory / "quiesced.log")}
    log = directory / "log"
    log.mkdir()
    bind(log, "/var/log")
    bind(scripts, STOCK_SCRIPTS)
    try:
        return _run(lines, rounds, environment)
    finally:
        unbind(STOCK_SCRIPTS)
        unbind("/var/log")
        shutil.rmtree(house.directory)


def _bare(scripts, count):
    """The scripts by themselves; without any, an empty program."""
    if count == 0:
        empty = programs.program("bench/empty")
        return f"{empty} freeze {empty} thaw"
    files = sorted(Path(scripts).iterdir())
    return " ".join([f"{file} freeze" for file in files]
                    + [f"{file} thaw" for file in reversed(files)])


def _run(lines, rounds, environment):
    output = subprocess.run([programs.program("bench/stopwatch"), str(rounds + 1)], check=True,
                            input="".join(f"{line}\n" for line in lines.values()),
                            stdout=subprocess.PIPE, text=True, env=environment).stdout
    names = list(lines)
    runs = {name: [] for name in names}
    for line in output.splitlines():
        number, nsec = map(int, line.split())
        runs[names[number]].append(nsec / NSEC)
    return {name: times[1:] for name, times in runs.items()}    # the first one warms up
