# SPDX-License-Identifier: GPL-2.0-or-later
"""hold.py WORKER DIRECTORY PLUGIN: has the worker load a plugin that wants a file to lock,
and lets it hold and let go. Prints what is wrong, or nothing."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time

SECOND = 1_000_000


def usec():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def ask(channel, what, **more):
    channel.send(json.dumps({"do": what, "deadline": usec() + 5 * SECOND, **more}).encode())
    while True:
        packet = channel.recv(1 << 16)
        if not packet:
            sys.exit(f"the worker ended during '{what}'")
        reply = json.loads(packet.rstrip(b"\0"))
        if reply.get("reply") == what:
            if reply.get("result") != "ok":
                sys.exit(f"'{what}': {reply}")
            return


def locked(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def high(end):
    """Not at 3, where the worker's is to be."""
    return socket.socket(fileno=fcntl.fcntl(end.detach(), fcntl.F_DUPFD_CLOEXEC, 10))


def main(worker, directory, plugin):
    lock = os.path.join(directory, "lock")
    os.makedirs(os.path.join(directory, "apps.d"), mode=0o755)
    with open(lock, "wb"):
        pass
    with open(os.path.join(directory, "apps.d", "main.conf"), "w", encoding="ascii") as file:
        file.write(f"[app]\nplugin = {plugin}\n\n[{plugin}]\npath = {lock}\n")
    ours, its = map(high, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    os.dup2(its.fileno(), 3, inheritable=True)
    with subprocess.Popen([worker, "--app", "main", "--parent", str(os.getpid()),
                           "--config-dir", directory, "--plugin-dir", directory],
                          pass_fds=[3]) as process, ours:
        its.close()
        os.close(3)
        ours.settimeout(10)
        ask(ours, "prepare", protocol=1, plugin=plugin)
        if locked(lock):
            print("it holds too early")
        ask(ours, "freeze", hold_deadline=usec() + 20 * SECOND)
        if not locked(lock):
            print("it does not hold")
        ask(ours, "check")
        ask(ours, "thaw")
        if process.wait(timeout=5) != 0:
            print(f"the worker has ended with {process.returncode}")
        if locked(lock):
            print("it still holds")


os.umask(0o022)
main(*sys.argv[1:])
