# SPDX-License-Identifier: GPL-2.0-or-later
"""The real qemu-ga, over a local socket."""

import contextlib
import json
import signal
import socket
from pathlib import Path

from .process import spawn
from .waiting import wait_until


class AgentError(Exception):
    """What the host would see."""


class Agent:
    """qemu-ga with `hook` (None: without any), in the environment `environment`."""

    def __init__(self, directory, hook=None, environment=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket_path = self.directory / "agent.sock"
        self.log = self.directory / "agent.log"
        command = ["qemu-ga", "-m", "unix-listen", "-p", str(self.socket_path),
                   "-t", str(self.directory)]
        if hook is not None:
            command.append(f"-F{hook}")
        self._socket = None
        self._lines = b""
        self.process = spawn(command, self.log, environment=environment)
        try:
            self._socket = wait_until(self._connect, "qemu-ga listens")
            self.execute("guest-ping")
        except BaseException:
            self.close()
            raise

    def _connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self.socket_path))
        except OSError:
            connection.close()
            return None
        return connection

    def execute(self, command, timeout=60.0, **arguments):
        self._socket.settimeout(timeout)
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode()
                             + b"\n")
        while b"\n" not in self._lines:
            data = self._socket.recv(65536)
            if not data:
                raise AgentError(f"qemu-ga ended: {self.log.read_text()[-500:]}")
            self._lines += data
        line, self._lines = self._lines.split(b"\n", 1)
        answer = json.loads(line)
        if "error" in answer:
            raise AgentError(answer["error"].get("desc", str(answer["error"])))
        return answer.get("return")

    def freeze(self, mountpoint):
        """Freezes this one filesystem. There is no way here to freeze all of them."""
        return self.execute("guest-fsfreeze-freeze-list", mountpoints=[str(mountpoint)])

    def thaw(self):
        return self.execute("guest-fsfreeze-thaw")

    def status(self):
        return self.execute("guest-fsfreeze-status")

    def close(self):
        if self._socket is not None:
            self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
