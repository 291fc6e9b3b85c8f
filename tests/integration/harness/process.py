# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that do not outlive us, whatever becomes of us."""

import os
import subprocess


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
