# SPDX-License-Identifier: GPL-2.0-or-later
"""A private mount namespace with a /run of its own, and private System V memory, of which a
killed PostgreSQL leaves some behind."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_libc = ctypes.CDLL(None, use_errno=True)
_entered = False


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def enter():
    """Moves this process, and what it starts from here on, into namespaces of its own.
    What is mounted there goes with the last process in it."""
    global _entered
    if _entered:
        return
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare")
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount private /")
    _check(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=0755"), "mount /run")
    os.makedirs("/run/systemd/journal", exist_ok=True)
    _entered = True
