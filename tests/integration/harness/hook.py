# SPDX-License-Identifier: GPL-2.0-or-later
"""The hook, called as qemu-ga 9.1 and later calls it."""

import contextlib
import os
import signal
import subprocess
import time

from . import programs


class Answer:
    """What one call came to."""

    def __init__(self, status, output, seconds):
        self.status = status            # negative: the signal that ended it
        self.output = output            # what the host is shown when the status is not 0
        self.seconds = seconds

    @property
    def line(self):
        """The one line that says what is wrong."""
        lines = self.output.splitlines()
        assert len(lines) == 1, f"one line expected: {self.output!r}"
        return lines[0]

    def __repr__(self):
        return f"status {self.status} after {self.seconds:.2f} s: {self.output!r}"


class Call:
    """A call that runs: stdin is /dev/null, stdout and stderr are one pipe, SIGPIPE is
    ignored, the session is its own."""

    def __init__(self, action, environment, wrapper=()):
        self._begin = time.monotonic()
        self.process = subprocess.Popen(
            [*wrapper, programs.program("fsfreeze-hook"), action], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, restore_signals=False)

    def wait(self, timeout=60.0):
        """Reads to the end of file, and only then asks for the status, as the agent."""
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Answer(self.process.returncode, output.decode(errors="replace"),
                      time.monotonic() - self._begin)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL to the hook alone, not to what it started."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Hook:
    """fsfreeze-hook of one house (house.py)."""

    def __init__(self, environment):
        self.environment = {**os.environ, **environment}

    def begin(self, action, wrapper=()):
        """`wrapper`: a command that executes its arguments."""
        return Call(action, self.environment, wrapper)

    def freeze(self):
        return self.begin("freeze").wait()

    def thaw(self):
        return self.begin("thaw").wait()
