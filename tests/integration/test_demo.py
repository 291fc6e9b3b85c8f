# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/demo runs once everything is built."""

import os
import subprocess

from harness import programs


def test_the_demo_tells_the_two_copies_apart_and_leaves_nothing(directory):
    done = subprocess.run(
        ["/usr/bin/python3", "-B", programs.SOURCE / "tools/demo.py", "--rows=200"],
        env={**os.environ, "TMPDIR": str(directory)}, text=True, capture_output=True,
        check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    copy, verdict = (
        next(line for line in done.stdout.splitlines() if title in line)
        for title in ("the copied disk is", "the verdict at the thaw"))
    assert copy.split()[-2:] == ["damaged", "whole"]
    assert verdict.endswith(" consistent")
    assert "binlog-position" in done.stdout
    assert list(directory.iterdir()) == []
