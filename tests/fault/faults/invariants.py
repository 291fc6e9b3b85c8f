# SPDX-License-Identifier: GPL-2.0-or-later
"""The invariants, looked at from outside: neither hook nor daemon is believed.

after() is the one function that looks after every call of the hook, whatever was done
to it. The names in the messages are those of ARCHITECTURE.md."""

import re
import time

from harness.waiting import TimedOut, wait_until

from . import oracle
from .site import PATIENCE

# Between the hook's end and our clock: python, two processors, many tests.
SLACK = 0.6 * PATIENCE
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Violation(AssertionError):
    """An invariant does not hold."""


def require(condition, invariant, what):
    if not condition:
        raise Violation(f"{invariant}: {what}")


def after(site, action, answer, consistent=None, killed=False, stopped=False, daemon="runs",
          grace=0.0, record=True):
    """Looks at the site after `answer`, the hook's to `action`.

    consistent: a freeze had to succeed, a thaw to find nothing lost; None: unknown.
    killed: the hook was ended by us, and owes no answer.
    stopped: the hook was stopped by us for a while, and may be late.
    daemon: "runs"; "away", it was killed or stopped.
    grace: seconds in which what is held may be let go after the answer (I3: a killed
    process); 0: at the answer."""
    if not killed:
        answered(site, action, answer, consistent, stopped)
    held = action == "freeze" and not killed and answer.status == 0
    if held and daemon == "runs":
        _held(site)
    elif not held:
        _nothing_held(site, action, grace)
    if record and not killed:
        _record(site, action, answer)
    _marker(site, held, daemon, 2.5 if killed else grace, action)
    if not held and daemon == "runs":
        _settled(site)


def answered(site, action, answer, consistent=None, stopped=False):
    """The hook's own part of after(), for when nothing else can be so yet."""
    budget = site.budget(action)
    require(stopped or answer.seconds <= budget + SLACK, "I4", f"{action} took longer than {budget} s: {answer}")
    require(answer.status in (0, 1), "I4", f"{action} did not end by itself: {answer}")
    if consistent is not None:
        require((answer.status == 0) == consistent, "I1" if action == "freeze" else "I2",
                f"{action} should have {'succeeded' if consistent else 'failed'}: {answer}")
    require(answer.status == 0 or answer.output, "I9", f"it failed without a word: {answer}")
    for line in answer.output.splitlines():
        require(answer.status != 0 or "the defaults count" in line, "I9",
                f"a line about nothing: {answer}")
        require(line.startswith("quiesced: ") and len(line) < 4096, "I9", f"a line: {line!r}")
        require(not CONTROL.search(line), "I9", f"a control character: {line!r}")


def _held(site):
    for app in site.apps:
        if oracle.has_to_be_held(app):
            require(site.held(app), "I1", f"'{app.name}' is not held after a freeze that succeeded")


def _nothing_held(site, action, grace):
    if grace == 0:
        held = site.held_apps()
        require(not held, "I3", f"{held} still held after {action}")
        return
    try:
        wait_until(lambda: not site.held_apps(), "", grace)
    except TimedOut:
        raise Violation(f"I3: {site.held_apps()} still held {grace} s after {action}") from None


def _record(site, action, answer):
    record = site.record_or_none()
    if not site.apps and action == "thaw":
        return
    require(record is not None, "record", f"there is none after {action}")
    wanted = {("freeze", 0): "held", ("freeze", 1): "failed"}.get((action, answer.status))
    if wanted:
        require(record["state"] == wanted, "record", f"'{record['state']}' after {action}: {answer}")
    if wanted == "failed":
        require(record["reason"], "record", "a failed one without a reason")
    if wanted == "held":
        outcomes = {app["name"]: app["outcome"] for app in record["apps"]}
        for app in site.apps:
            if oracle.has_to_be_held(app):
                require(outcomes.get(app.name) == "held", "record", f"{app.name}: {outcomes}")
    if action == "thaw" and record["state"] == "thawed" and record["consistent"] is not None:
        require(record["consistent"] == (answer.status == 0), "I2",
                f"record {record['consistent']}, but {answer}")
    leftover = [path.name for path in site.state.iterdir()
                if path.name not in ("record.json", "previous.json")]
    require(not leftover, "record", f"{leftover} left in the state directory")


def _marker(site, held, daemon, grace, action):
    if held:
        require(site.marker.exists() or not site.apps, "marker", "none while held")
    elif daemon == "runs":
        try:
            wait_until(lambda: not site.marker.exists(), "", grace)
        except TimedOut:
            raise Violation(f"marker: it is still there after {action}") from None


def _settled(site):
    """Nothing of the cycle is left in the daemon."""
    # a worker that has let go is given a second to exit
    try:
        wait_until(lambda: not site.children(), "", 3.0)
        wait_until(lambda: site.daemon.status()["state"] == "idle", "", 3.0)
    except TimedOut:
        raise Violation(f"I3: left behind: {site.children()},"
                        f" {site.daemon.status()['state']}") from None


def next_cycle_works(site, *names):
    """Whatever was, now nothing is wrong any more."""
    from .site import App
    site.configure(*(App(name) for name in names or ("one",)))
    begin = time.monotonic()
    freeze = site.hook.freeze()
    after(site, "freeze", freeze, consistent=True)
    thaw = site.hook.thaw()
    after(site, "thaw", thaw, consistent=True)
    return time.monotonic() - begin
