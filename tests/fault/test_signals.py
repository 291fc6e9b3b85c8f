# SPDX-License-Identifier: GPL-2.0-or-later
"""SIGKILL, SIGSTOP and SIGTERM of hook, daemon and worker while each phase lasts."""

import os
import signal
import time

import pytest

from faults import invariants
from faults.site import App
from harness import process
from harness.waiting import wait_until

KILL, TERM, STOP = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP
SIGNALS = pytest.mark.parametrize("number", [KILL, TERM, STOP], ids=lambda number: number.name)
# A step of the way there, and what makes it last.
FORWARD = ["prepare", "script", "freeze", "check"]
UNDO = "abort"
LATE = 3 * 0.2      # what a hook that was stopped may take in all


@pytest.fixture
def slow(new_site):
    site = new_site(freeze_timeout="2s", hold_attempt="1s", script_timeout="1s")
    site.daemon.start()
    return site


def begin(site, step, policy="required"):
    """A freeze that is in this step, and will stay there for a while."""
    faults = {"prepare": {"prepare": "wait"}, "freeze": {"freeze": "wait"},
              "check": {"check": "wait"}, "script": {},
              "abort": {"freeze": "fail", "abort": "hang"}}[step]
    faulty = App("faulty", policy, faults=faults)
    site.configure(faulty, App("healthy"))
    if step == "script":
        # slow once: the next cycle has to fit into its budget
        site.script("10-slow", "echo $1 >>$D/calls\n"
                    "[ $1 = thaw ] || [ -e $D/slept ] || { touch $D/slept; sleep 0.7; }")
    call = site.hook.begin("freeze")
    calls = site.directory / "calls"
    wait_until(lambda: calls.exists() and calls.read_text() if step == "script"
               else step in site.phases(faulty), f"the step {step}")
    return call


def worker(site, name="faulty"):
    return site.daemon.workers()[name]


@pytest.mark.parametrize("step", [*FORWARD, UNDO])
@SIGNALS
def test_hook(slow, step, number):
    call = begin(slow, step)
    call.signal(number)
    if number == KILL:
        call.kill()
        invariants.after(slow, "freeze", None, killed=True, grace=2.5)
    elif number == TERM:
        invariants.after(slow, "freeze", call.wait(), consistent=False)
    else:
        # it says nothing, and so nothing may stay
        wait_until(lambda: not slow.held_apps(), "the locks go",
                   slow.seconds("freeze_timeout") + 1.5)
        call.signal(signal.SIGCONT)
        answer = call.wait()
        # nothing was held while the script ran, so that it may go on
        invariants.after(slow, "freeze", answer, stopped=True,
                         consistent=None if step == "script" else False)
        slow.hook.thaw()
    invariants.next_cycle_works(slow)
    if step == "script":
        told = (slow.directory / "calls").read_text().split()
        assert told.count("freeze") == 2 and told.count("thaw") >= 2, told


@pytest.mark.parametrize("whole", [False, True], ids=["hook", "guest"])
@pytest.mark.parametrize("part", [0.93, 0.99, 1])
@pytest.mark.parametrize("step", ["prepare", "script", "freeze", "check"])
def test_a_hook_that_is_stopped_beyond_its_time(new_site, step, part, whole):
    """Alone, or with daemon and workers as by a guest that is paused, until so much of its
    time is over: late, but with nothing held and a record of its own."""
    site = new_site(freeze_timeout="1s", hold_attempt="500ms", script_timeout="1s")
    site.daemon.start()
    invariants.next_cycle_works(site)
    began = time.monotonic()
    call = begin(site, step)
    pids = [call.process.pid]
    if whole:
        pids += [site.daemon.process.pid, *site.daemon.workers().values()]
    for pid in pids:
        os.kill(pid, STOP)
    time.sleep(max(0, began + part * site.seconds("freeze_timeout") - time.monotonic()))
    for pid in pids:
        process.go_on(pid)
    went_on = time.monotonic()
    answer = call.wait()
    assert time.monotonic() - went_on < LATE + invariants.SLACK
    invariants.after(site, "freeze", answer, consistent=False, stopped=True)
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("step", [*FORWARD, UNDO])
@SIGNALS
def test_daemon(slow, step, number):
    call = begin(slow, step)
    daemon = slow.daemon.process
    daemon.send_signal(number)
    answer = call.wait()
    if number == STOP:
        invariants.answered(slow, "freeze", answer, consistent=False)
        process.go_on(daemon.pid)
        invariants.after(slow, "freeze", answer, consistent=False, grace=2.5)
    else:
        invariants.after(slow, "freeze", answer, consistent=False, daemon="away", grace=1.5)
        assert daemon.wait(timeout=2) == (0 if number == TERM else -KILL)
        slow.daemon.start()
        # a host that always sends a thaw; the marker may be there or not
        slow.hook.thaw()
    invariants.next_cycle_works(slow)


@pytest.mark.parametrize("policy", ["required", "optional"])
@pytest.mark.parametrize("step", ["prepare", "freeze", "check", UNDO])
@SIGNALS
def test_worker(slow, step, number, policy):
    call = begin(slow, step, policy)
    os.kill(worker(slow), number)
    answer = call.wait()
    invariants.after(slow, "freeze", answer, consistent=policy == "optional")
    if policy == "required":
        assert "'faulty'" in answer.output
    invariants.after(slow, "thaw", slow.hook.thaw(), consistent=True)
    invariants.next_cycle_works(slow, "faulty")


@pytest.fixture
def held(slow):
    slow.configure(App("faulty"), App("healthy"))
    invariants.after(slow, "freeze", slow.hook.freeze(), consistent=True)
    return slow


@SIGNALS
def test_daemon_while_held(held, number):
    held.daemon.process.send_signal(number)
    answer = held.hook.thaw()
    if number == STOP:
        invariants.answered(held, "thaw", answer, consistent=False)
        process.go_on(held.daemon.process.pid)
        # it has read what the hook asked for, and lets go
        wait_until(lambda: not held.held_apps(), "the locks go", 2)
    else:
        invariants.after(held, "thaw", answer, consistent=False, daemon="away", grace=1.5)
        held.daemon.process.wait(timeout=2)
        held.daemon.start()
    invariants.next_cycle_works(held)


@SIGNALS
def test_worker_while_held(held, number):
    os.kill(worker(held), number)
    if number != STOP:
        wait_until(lambda: held.held_apps() == ["healthy"], "its lock goes, the other stays")
    answer = held.hook.thaw()
    invariants.after(held, "thaw", answer, consistent=False)
    assert "'faulty'" in answer.output and "'healthy'" not in answer.output
    invariants.next_cycle_works(held)


@pytest.fixture
def thawing(slow):
    """A thaw that waits for the app."""
    slow.configure(App("faulty", faults={"thaw": "wait"}), App("healthy"))
    slow.hook.freeze()
    call = slow.hook.begin("thaw")
    wait_until(lambda: "thaw" in slow.phases(slow.apps[0]), "the thaw")
    slow.thawing = call
    yield slow
    if call.process.poll() is None:
        call.kill()


@SIGNALS
def test_hook_while_it_thaws(thawing, number):
    call = thawing.thawing
    call.signal(number)
    if number == TERM:
        # the host wants its filesystems' applications back: it is not heard
        invariants.after(thawing, "thaw", call.wait(), consistent=False)
    else:
        wait_until(lambda: not thawing.held_apps(), "the locks go", 3)
        if number == STOP:
            call.signal(signal.SIGCONT)
            answer = call.wait()
        else:
            call.kill()
            answer = thawing.hook.thaw()
        invariants.after(thawing, "thaw", answer, consistent=False, stopped=True)
    invariants.next_cycle_works(thawing)


@pytest.mark.parametrize("part", [0.5, 1, 1.1])
def test_a_thaw_that_is_stopped_beyond_its_time(new_site, part):
    """Scripts are thawed all the same, and the record says so."""
    site = new_site(thaw_timeout="1s", script_thaw_timeout="1s")
    site.daemon.start()
    site.configure(App("faulty", faults={"thaw": "wait"}), App("healthy"))
    site.script("10-note", "echo $1 >>$D/calls")
    assert site.hook.freeze().status == 0
    began = time.monotonic()
    call = site.hook.begin("thaw")
    wait_until(lambda: "thaw" in site.phases(site.apps[0]), "the thaw")
    call.signal(STOP)
    time.sleep(max(0, began + part * site.budget("thaw") - time.monotonic()))
    call.signal(signal.SIGCONT)
    went_on = time.monotonic()
    answer = call.wait()
    assert time.monotonic() - went_on < site.budget("thaw") + invariants.SLACK
    invariants.after(site, "thaw", answer, stopped=True)
    assert (site.directory / "calls").read_text().split() == ["freeze", "thaw"]
    assert site.record_or_none()["state"] == "thawed"
    invariants.next_cycle_works(site)


@SIGNALS
def test_daemon_while_it_thaws(thawing, number):
    daemon = thawing.daemon.process
    daemon.send_signal(number)
    answer = thawing.thawing.wait()
    if number == STOP:
        invariants.answered(thawing, "thaw", answer, consistent=False)
        process.go_on(daemon.pid)
        wait_until(lambda: not thawing.held_apps(), "the locks go", 3)
    else:
        invariants.after(thawing, "thaw", answer, consistent=False, daemon="away", grace=1.5)
        daemon.wait(timeout=2)
        thawing.daemon.start()
    thawing.hook.thaw()
    invariants.next_cycle_works(thawing)


@SIGNALS
def test_worker_while_it_thaws(thawing, number):
    os.kill(worker(thawing), number)
    invariants.after(thawing, "thaw", thawing.thawing.wait(), consistent=False)
    invariants.next_cycle_works(thawing)


def test_a_daemon_that_is_told_to_end_does_so_within_a_second(held):
    held.daemon.process.send_signal(TERM)
    begin_ = time.monotonic()
    assert held.daemon.process.wait(timeout=5) == 0
    assert time.monotonic() - begin_ < 1 + invariants.SLACK
    assert not held.held_apps()
