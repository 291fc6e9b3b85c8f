# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL, SIGTERM and SIGSTOP of hook, daemon and worker, at every system call of
theirs: a sample that --seed draws, all of them with --every."""

import random
import signal

import pytest

from faults import invariants, steps
from faults.site import App
from faults.steps import Tripwire
from harness import process

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]
# More than any of them makes, with the sanitizers' too; what is beyond the end is
# counted as not tripped.
SHORT = {"freeze_timeout": "1s", "hold_attempt": "200ms", "hold_timeout": "20s"}
BATCH = 8


def draw(seed, what, last, sample, every):
    """The numbers of the calls: `sample` of them, spread, or all up to `last`."""
    if every:
        return list(range(1, last + 1))
    return sorted(random.Random(f"{seed}-{what}").sample(range(1, last + 1), sample))


@pytest.fixture
def fast(new_site, monkeypatch):
    # leaks cannot be looked for in a process that is traced
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    site = new_site(**SHORT)
    site.daemon.start()
    site.configure(App("one"), App("two"))
    return site


def length(site, who):
    """How many calls the process makes when nobody disturbs it."""
    trip = Tripwire(site, 0, 0)
    if who == "worker":
        plain = site.worker
        site.daemon.terminate()
        site.wrap_worker(trip.command)
        site.daemon.start()
    if who == "daemon":
        trip.attach(site.daemon.process.pid)
    wrapped = {"freeze": trip.command if who == "freeze" else (),
               "thaw": trip.command if who == "thaw" else ()}
    assert site.hook.begin("freeze", wrapped["freeze"]).wait().status == 0
    assert site.hook.begin("thaw", wrapped["thaw"]).wait().status == 0
    if who == "daemon":
        site.daemon.terminate()
        site.daemon.start()
    steps.wait_until(lambda: trip.calls(), "the calls are counted")
    if who == "worker":
        site.daemon.terminate()
        site.worker = plain
        site.daemon.start()
    return trip.calls()


def freeze_killed(site, answer, number):
    """What must be so when the hook's freeze met a signal."""
    if answer.status == 0:
        invariants.after(site, "freeze", answer, consistent=True, stopped=True)
        invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    elif answer.status == 1 and number != signal.SIGKILL:
        invariants.after(site, "freeze", answer, consistent=False, stopped=True)
    else:
        # qemu-ga calls no thaw now: either it was undone, or Commit was answered
        # before the hook died, and only the deadline or the next freeze ends it
        steps.wait_until(lambda: site.daemon.status()["state"] in ("idle", "held"), "an end")
        if site.daemon.status()["state"] == "held":
            invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
        else:
            invariants.after(site, "freeze", answer, killed=True, grace=2.0)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_hook_freezes(fast, number, sampling, count):
    for call in draw(sampling.seed, f"freeze {number}", length(fast, "freeze"), BATCH,
                     sampling.every):
        trip = Tripwire(fast, call, number)
        begun = fast.hook.begin("freeze", trip.command)
        if number == signal.SIGSTOP:
            steps.let_go_on(begun, 0.3 if call % 4 else 1.5)
        freeze_killed(fast, begun.wait(), number)
        count(cycles=1, faults=trip.tripped())
    invariants.next_cycle_works(fast)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_hook_thaws(fast, number, sampling, count):
    for call in draw(sampling.seed, f"thaw {number}", length(fast, "thaw"), BATCH,
                     sampling.every):
        invariants.after(fast, "freeze", fast.hook.freeze(), consistent=True)
        trip = Tripwire(fast, call, number)
        begun = fast.hook.begin("thaw", trip.command)
        if number == signal.SIGSTOP:
            steps.let_go_on(begun, 0.2)
        answer = begun.wait()
        if answer.status < 0:
            # before it asked, or after: the next thaw is the one that lets go
            answer = fast.hook.thaw()
        invariants.after(fast, "thaw", answer, stopped=True, grace=2.0)
        count(cycles=1, faults=trip.tripped())
    invariants.next_cycle_works(fast)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_daemon(fast, number, sampling, count):
    # a stopped one costs its whole budget
    for call in draw(sampling.seed, f"daemon {number}", length(fast, "daemon"),
                     BATCH // 2 if number == signal.SIGSTOP else BATCH, sampling.every):
        fast.configure(App("one"), App("two"))
        daemon = fast.daemon.process
        trip = Tripwire(fast, call, number)
        trip.attach(daemon.pid)
        freeze = fast.hook.freeze()
        in_freeze = trip.tripped()
        kept = process.stopped(daemon.pid) and freeze.status != 0
        invariants.after(fast, "freeze", freeze, daemon="away" if in_freeze else "runs",
                         consistent=None if in_freeze else True,
                         grace=fast.seconds("hold_timeout") if kept else 2.0)
        thaw = fast.hook.thaw()
        trip.remove()
        if process.stopped(daemon.pid):
            # the hold lasts until its worker is told, or its deadline
            process.go_on(daemon.pid)
        invariants.after(fast, "thaw", thaw, daemon="away", grace=2.0,
                         consistent=None if trip.tripped() else True)
        if number != signal.SIGSTOP:
            fast.daemon.kill()
            fast.daemon.start()
        invariants.next_cycle_works(fast, "one", "two")
        count(cycles=2, faults=trip.tripped())


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_worker(fast, number, sampling, count):
    last = length(fast, "worker")
    plain = fast.worker
    for call in draw(sampling.seed, f"worker {number}", last, BATCH, sampling.every):
        trip = Tripwire(fast, call, number)
        fast.daemon.terminate()
        fast.worker = plain
        fast.wrap_worker(trip.command)
        fast.daemon.start()
        fast.configure(App("one"))
        freeze = fast.hook.freeze()
        invariants.after(fast, "freeze", freeze, consistent=None if trip.tripped() else True)
        thaw = fast.hook.thaw()
        invariants.after(fast, "thaw", thaw)
        if freeze.status == 0 and thaw.status == 0 and number == signal.SIGKILL:
            # only after it had let go
            assert "thaw" in fast.phases(fast.apps[0])
        count(cycles=1, faults=trip.tripped())
    fast.daemon.terminate()
    fast.worker = plain
    fast.daemon.start()
    invariants.next_cycle_works(fast)
