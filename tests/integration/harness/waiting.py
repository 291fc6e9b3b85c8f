# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for a condition, never for a time."""

import time


class TimedOut(AssertionError):
    """The condition did not come true."""


def wait_until(condition, what, seconds=10.0, step=0.01):
    """Returns the first true value of condition(); fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimedOut(f"{what}: not within {seconds:g} s")
        time.sleep(step)
