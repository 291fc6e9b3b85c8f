# SPDX-License-Identifier: GPL-2.0-or-later
"""A short soak; `soak` is the long one."""

import re
import subprocess
from pathlib import Path

from harness import programs


def test_random_cycles_with_random_faults(sampling, count):
    cycles = 100 if programs.sanitized() else 400
    done = subprocess.run([Path(__file__).with_name("soak"), "--seed", sampling.seed,
                           "--cycles", str(cycles), "--jobs", "6"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    totals = dict((name, int(number)) for number, name in
                  re.findall(r"(\d+) (cycles|faults|violations)", done.stdout))
    assert totals["cycles"] == cycles and totals["violations"] == 0
    count(cycles=totals["cycles"], faults=totals["faults"])
