# SPDX-License-Identifier: GPL-2.0-or-later
"""Ending and stopping a process at every step that it takes."""

import os
import shutil
import subprocess
import time

from harness import process, programs
from harness.waiting import wait_until

from .site import built


class Tripwire:
    """Sends `number` to a process at its `call`th system call (at_syscall.c)."""

    _serial = 0

    def __init__(self, site, call, number):
        Tripwire._serial += 1
        self.note = site.directory / f"trip-{Tripwire._serial}"
        self.note.touch()
        os.chown(self.note, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        tool = site.programs / "at_syscall"
        if not tool.exists():
            shutil.copy(built("at_syscall"), tool)
        self.command = [tool, str(call), str(int(number)), self.note]
        self._process = None

    def attach(self, pid):
        """To a process that runs."""
        self._process = subprocess.Popen([*self.command, str(pid)])
        wait_until(lambda: "attached" in self.note.read_text(), "the tracer is there")

    def tripped(self):
        return "sent" in self.note.read_text()

    def calls(self):
        """How many calls were seen, once the process has ended or was sent the signal."""
        words = self.note.read_text().split()
        return int(words[-1]) if words and words[-2] != "attached" else None

    def remove(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def wait_for_call(call, seconds, step=0.005):
    """True when the hook has ended by then."""
    end = time.monotonic() + seconds
    while call.process.poll() is None:
        if time.monotonic() >= end:
            return False
        time.sleep(step)
    return True


def let_go_on(call, seconds):
    """Lets a hook that is stopped go on after `seconds`, however late it is stopped."""
    while not wait_for_call(call, seconds):
        process.go_on(call.process.pid)
        seconds = 0.2
