# SPDX-License-Identifier: GPL-2.0-or-later
"""Running programs of the machine that we are on."""

import subprocess
import time

START = time.monotonic()


class Failed(AssertionError):
    """A program failed, or something is not as it should be."""


def say(text):
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def run(*command, check=True, **more):
    """The output of `command`, both streams of it."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                          errors="replace", check=False, **more)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(str(word) for word in command)}: status {done.returncode}:\n"
                     f"{done.stdout[-3000:]}")
    return done.stdout


def expect(condition, what):
    if not condition:
        raise Failed(what)


def wait_until(condition, what, seconds, step=0.2):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(step)
