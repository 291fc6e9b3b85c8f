# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the daemon that may also say what no client should."""

import json
import socket
import time


class VarlinkError(Exception):
    """A typed error that came in place of a reply."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {parameters}")
        self.name = name
        self.parameters = parameters


def monotonic_usec(seconds_from_now=0.0):
    return time.monotonic_ns() // 1000 + int(seconds_from_now * 1_000_000)


class Client:
    def __init__(self, path, timeout=15.0):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._pending = b""
        try:
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise

    def send(self, data):
        self._socket.sendall(data)

    def send_call(self, method, **parameters):
        self.send(json.dumps({"method": method, "parameters": parameters}).encode() + b"\0")

    def receive(self):
        """The next message, or None at the end of file."""
        while b"\0" not in self._pending:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._pending += data
        frame, self._pending = self._pending.split(b"\0", 1)
        return json.loads(frame)

    def call(self, method, **parameters):
        self.send_call(method, **parameters)
        return self.result()

    def result(self):
        message = self.receive()
        if message is None:
            raise EOFError("the daemon closed the connection")
        if "error" in message:
            raise VarlinkError(message["error"], message.get("parameters") or {})
        return message.get("parameters") or {}

    def prepare(self, **differently):
        return self.call("io.quiesced.Prepare", **self.prepare_parameters(**differently))

    @staticmethod
    def prepare_parameters(seconds=10.0, protocol=1, **more):
        return {"protocol": protocol,
                "deadline_monotonic": monotonic_usec(seconds),
                "undo_deadline_monotonic": monotonic_usec(seconds + 3), **more}

    def freeze(self):
        return self.call("io.quiesced.Freeze", scripts=False)

    def commit(self):
        return self.call("io.quiesced.Commit")

    def thaw(self, seconds=5.0):
        return self.call("io.quiesced.Thaw", deadline_monotonic=monotonic_usec(seconds))

    def status(self):
        return self.call("io.quiesced.Status")

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
