# SPDX-License-Identifier: GPL-2.0-or-later
"""A journald that only listens."""

import contextlib
import os
import socket
import struct
import threading

from .waiting import wait_until

SOCKET = "/run/systemd/journal/socket"


def parse(datagram):
    """One entry of the native protocol as a dict of strings."""
    entry = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack_from("<Q", datagram)
            value = datagram[8:8 + size]
            datagram = datagram[8 + size + 1:]
        entry[key.decode()] = value.decode(errors="replace")
    return entry


class Journal:
    """Takes every entry that is sent in this namespace until close()."""

    def __init__(self):
        self.entries = []
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(SOCKET)
        os.chmod(SOCKET, 0o666)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            try:
                datagram = self._socket.recv(1 << 18)
            except OSError:
                return
            if not datagram:
                return
            self.entries.append(parse(datagram))

    def messages(self):
        return [entry.get("MESSAGE", "") for entry in list(self.entries)]

    def wait_for(self, *words, seconds=5.0):
        """The first entry whose message contains all the words."""
        def find():
            for entry in list(self.entries):
                if all(word in entry.get("MESSAGE", "") for word in words):
                    return entry
            return None
        return wait_until(find, f"a journal entry with {words}", seconds)

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
