# SPDX-License-Identifier: GPL-2.0-or-later
"""guard.py MOUNTPOINT SECONDS: thaws and unmounts it at the end of stdin, at the latest
after so many seconds, so that no dead test leaves a frozen filesystem behind."""

import ctypes
import fcntl
import os
import select
import signal
import sys

FITHAW = 0xC0045878
MNT_DETACH = 2

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
root = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
print("guarding", flush=True)
select.select([0], [], [], float(sys.argv[2]))
try:
    while True:
        fcntl.ioctl(root, FITHAW, 0)
except OSError:
    pass  # thawed
os.close(root)
ctypes.CDLL(None).umount2(os.fsencode(sys.argv[1]), MNT_DETACH)
