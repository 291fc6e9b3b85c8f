# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon, as an unprivileged user, and its workers."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from . import programs, varlink
from .process import spawn
from .waiting import wait_until


class Daemon:
    """quiesced of one house (house.py)."""

    def __init__(self, house):
        self._house = house
        self.socket = house.runtime / "quiesced.sock"
        self.log = house.directory / "daemon.log"
        self.process = None

    def start(self):
        self.process = spawn(
            [self._house.quiesced, "--config-dir", self._house.config,
             "--runtime-dir", self._house.runtime, "--plugin-dir", self._house.plugins,
             "--worker", self._house.worker], self.log, user=programs.UNPRIVILEGED)
        wait_until(self._ready, "the daemon answers")
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"quiesced ended: {self.log.read_text()[-2000:]}")
        try:
            with self.client() as client:
                client.status()
        except OSError:
            return False
        return True

    def client(self):
        return varlink.Client(self.socket)

    def status(self):
        with self.client() as client:
            return client.status()

    def wait_for_state(self, state):
        """Until Status says so; the Status."""
        def reached():
            status = self.status()
            return status if status["state"] == state else None
        return wait_until(reached, f"the daemon is {state}")

    def workers(self):
        """The pids of the workers by the name of their app."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                if b"--app" not in words or b"--parent" not in words:
                    continue
                parent = words[words.index(b"--parent") + 1]
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                if self.process and int(parent) == self.process.pid and state != "Z":
                    found[words[words.index(b"--app") + 1].decode()] = int(path.name)
        return found

    def worker(self, app="main"):
        """The pid of this app's worker, once it runs."""
        return wait_until(lambda: self.workers().get(app), f"the worker of '{app}'")

    def wait_for_no_worker(self):
        wait_until(lambda: not self.workers(), "no worker is left")

    def kill(self):
        self._end(signal.SIGKILL)

    def terminate(self):
        """Asks it to end; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number):
        process, self.process = self.process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
            process.send_signal(number)
        try:
            return process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
