# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes: servers that do not outlive us, whatever becomes of us, and what a process
does."""

import contextlib
import os
import signal
import subprocess

from .waiting import wait_until


def spawn(command, log, user=None, environment=None):
    """Starts `command` with its output appended to the file `log`, as `user` (a name or
    a number, which is its group too) without any privilege."""
    setpriv = ["setpriv", "--pdeathsig", "KILL"]
    if user is not None:
        setpriv += [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    with open(log, "a") as output:
        return subprocess.Popen([*setpriv, "--", *command], stdin=subprocess.DEVNULL,
                                stdout=output, stderr=output, start_new_session=True,
                                env={**os.environ, **(environment or {})})


def state(pid):
    """The letter of /proc/PID/stat, or None."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


def lives(pid):
    return state(pid) not in (None, "Z")


def stopped(pid):
    return state(pid) in ("T", "t")


def stop(pid):
    """Sends SIGSTOP and waits until it has: what is sent to the process from then on, it
    meets all at once."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: stopped(pid), f"process {pid} is stopped", step=0.001)


def kill(pid):
    """Sends SIGKILL and waits until it is dead, reaped or not."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not lives(pid), f"process {pid} is dead", step=0.001)


def go_on(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
