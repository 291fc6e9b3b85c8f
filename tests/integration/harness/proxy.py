# SPDX-License-Identifier: GPL-2.0-or-later
"""A socket between a worker and its server, that can fall silent."""

import contextlib
import os
import selectors
import socket
import threading


class _Link:
    def __init__(self, client, server):
        self.client = client
        self.server = server
        self.held = []                  # (to whom, data), kept back while silent


class Proxy:
    """Passes everything on until silence(), then keeps it back until resume(). The end
    of a client always reaches the server."""

    def __init__(self, path, upstream):
        self.path = path
        self._upstream = str(upstream)
        self._silent = False
        self.kept_back = threading.Event()      # something waits since silence()
        self._links = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        os.chmod(path, 0o666)
        self._listener.listen(16)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def silence(self):
        with self._lock:
            self._silent = True
            self.kept_back.clear()

    def resume(self):
        with self._lock:
            self._silent = False
            for link in {id(link): link for link in self._links.values()}.values():
                for receiver, data in link.held:
                    with contextlib.suppress(OSError):  # it has gone meanwhile
                        receiver.sendall(data)
                link.held.clear()

    def close(self):
        self._wake.close()
        self._thread.join(timeout=5)

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    for link in list(self._links.values()):
                        self._drop(link)
                    self._listener.close()
                    self._woken.close()
                    return
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._links:
                        self._pass_on(key.fileobj)

    def _accept(self):
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            server.connect(self._upstream)
        except OSError:
            client.close()
            server.close()
            return
        link = _Link(client, server)
        for end in (client, server):
            self._links[end] = link
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, sender):
        link = self._links[sender]
        receiver = link.server if sender is link.client else link.client
        try:
            data = sender.recv(65536)
            if not data:
                self._drop(link)
            elif self._silent:
                link.held.append((receiver, data))
                self.kept_back.set()
            else:
                receiver.sendall(data)
        except OSError:
            self._drop(link)

    def _drop(self, link):
        for end in (link.client, link.server):
            if self._links.pop(end, None) is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(end)
                end.close()
