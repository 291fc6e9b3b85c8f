# SPDX-License-Identifier: GPL-2.0-or-later
"""The hold's deadline, whoever was stopped; and retry-after, whoever insists."""

import time

import pytest

from faults import invariants
from faults.site import App
from harness import mariadb, process
from harness.waiting import wait_until

HOLD = 1.5


@pytest.fixture
def short(new_site):
    site = new_site(hold_timeout=f"{int(HOLD * 1000)}ms")
    site.daemon.start()
    return site


def freeze(site, *apps):
    """Freezes; when the first hold may have been taken at the earliest, and was taken
    at the latest."""
    site.configure(*apps)
    call = site.hook.begin("freeze")
    wait_until(lambda: all("freeze" in site.phases(app) for app in apps), "the first hold",
               step=0.002)
    taken = time.monotonic()
    invariants.after(site, "freeze", call.wait(), consistent=True)
    return taken


def gone_after(site, app, begin):
    wait_until(lambda: not site.held(app), "the deadline", HOLD + 2, step=0.005)
    return time.monotonic() - begin


@pytest.mark.parametrize("stopped", ["nobody", "daemon", "worker", "both"])
def test_nothing_is_held_beyond_the_deadline(short, stopped):
    """Counted from before the first hold. A stopped worker dies by its own timer 200 ms
    later; nobody has to run for that."""
    app = App("one")
    begin = freeze(short, app)
    daemon = short.daemon.process.pid
    worker = short.daemon.workers()["one"]
    if stopped in ("daemon", "both"):
        process.stop(daemon)
    if stopped in ("worker", "both"):
        process.stop(worker)
    lasted = gone_after(short, app, begin)
    assert HOLD - 0.3 <= lasted <= HOLD + 0.2 + 0.3, lasted
    process.go_on(daemon)
    invariants.after(short, "thaw", short.hook.thaw(), consistent=False)
    invariants.next_cycle_works(short)


def test_the_deadline_counts_from_before_the_first_hold(short):
    """The second app takes its time; the first must not be held longer for that."""
    short.set(freeze_timeout="8s", hold_attempt="2s")
    quick, slow = App("one"), App("two", "optional", faults={"freeze": "wait"})
    begin = freeze(short, quick, slow)
    lasted = gone_after(short, quick, begin)
    assert lasted <= HOLD + 0.5, lasted
    invariants.after(short, "thaw", short.hook.thaw(), consistent=False)


def test_a_hold_attempt_is_bounded_by_the_holds_deadline(short):
    """All holds are there only after the deadline: no freeze may succeed."""
    short.set(freeze_timeout="8s", hold_attempt="5s")
    short.configure(App("one"), App("two", faults={"freeze": "wait"}))
    answer = short.hook.freeze()
    invariants.after(short, "freeze", answer, consistent=False)
    assert answer.seconds < HOLD + 1


@pytest.mark.parametrize("stopped", ["daemon", "worker", "both"])
def test_a_server_is_not_held_beyond_the_deadline(house, server, stopped):
    """A MariaDB, looked at by a writer."""
    house.set(hold_timeout="2s")
    house.app("main", server, user="quiesced", password="secret")
    house.daemon.start()
    begin = time.monotonic()
    assert house.hook.freeze().status == 0
    assert not server.can_write()
    if stopped in ("daemon", "both"):
        process.stop(house.daemon.process.pid)
    if stopped in ("worker", "both"):
        process.stop(house.daemon.worker())
    assert server.can_write(seconds=5)
    assert time.monotonic() - begin < 2 + 1.5
    process.go_on(house.daemon.process.pid)
    answer = house.hook.thaw()
    assert answer.status == 1 and "'main'" in answer.output
    house.daemon.wait_for_no_worker()


def waiting(server):
    """Sessions of ours that execute a statement, or wait for a lock in it."""
    return [row for row in server.sessions("quiesced").values() if row[1] == "Query"]


def test_a_waiting_statement_ends_by_the_servers_own_limit(house, server):
    """Daemon and worker are stopped while the lock is waited for. A server does not
    notice a client that does nothing then: its own limit has to end the statement."""
    house.set(hold_timeout="4s", hold_attempt="2s", freeze_timeout="8s")
    house.app("main", server, user="quiesced", password="secret")
    house.daemon.start()
    statement = mariadb.LongStatement(server)
    call = house.hook.begin("freeze")
    try:
        worker = house.daemon.worker()
        wait_until(lambda: waiting(server), "a statement that waits", 5, step=0.002)
        process.stop(worker)
        process.stop(house.daemon.process.pid)
        began = time.monotonic()
        wait_until(lambda: not waiting(server), "the statement ends", 6)
        assert time.monotonic() - began < 4.5
        statement.stop()
        # what was locked before it waited goes with the worker, at its own deadline
        assert server.can_write(seconds=6)
        assert time.monotonic() - began < 4 + 1.5
    finally:
        statement.stop()
        process.go_on(house.daemon.process.pid)
    assert call.wait().status == 1
    house.daemon.wait_for_no_worker()


# retry-after, with the times of a host that tries every 5 s for 5 minutes and the
# initial 15 s, each a hundredth of it
TRY_EVERY = 0.05
RETRY_AFTER = 0.15
TRIES = 60


def attempts(site):
    return site.phases(site.apps[0]).count("freeze")


def insist(site, tries=TRIES):
    """A host that tries again and again; the monotonic times of its tries, and what each
    was answered."""
    answers = []
    begin = time.monotonic()
    for number in range(tries):
        time.sleep(max(0.0, begin + number * TRY_EVERY - time.monotonic()))
        at = time.monotonic()
        answers.append((at, site.hook.freeze()))
    return answers


def test_a_host_that_insists_reaches_the_server_seldom(new_site):
    site = new_site(retry_after=f"{int(RETRY_AFTER * 1000)}ms")
    site.daemon.start()
    site.configure(App("one", faults={"freeze": "fail"}))
    answers = insist(site)
    lasted = answers[-1][0] - answers[0][0]
    assert all(answer.status == 1 and "as told" in answer.output for _, answer in answers)
    tried = attempts(site)
    # it counts from the last failure, and a refusal does not prolong it: else one alone
    assert lasted / (RETRY_AFTER + 3 * TRY_EVERY) - 1 <= tried <= lasted / RETRY_AFTER + 1, tried
    refused = [answer for _, answer in answers if "the next freeze is tried in" in answer.output]
    assert len(refused) == TRIES - tried


def test_what_ends_retry_after(new_site):
    site = new_site(retry_after="1min")
    site.daemon.start()
    faulty = App("one", faults={"freeze": "fail"})
    site.configure(faulty)

    def tried():
        """Does a freeze reach the app?"""
        before = attempts(site)
        invariants.after(site, "freeze", site.hook.freeze(), consistent=False)
        return attempts(site) > before

    assert tried() and not tried() and not tried()
    with site.daemon.client() as client:
        client.call("io.quiesced.Reset")
    assert tried() and not tried()
    site.configure(App("one", faults={"freeze": "fail"}, options={"password": "x"}))
    assert tried() and not tried()
    site.daemon.terminate()
    site.daemon.start()
    assert tried() and not tried()
    site.set(freeze_timeout="5s")
    assert tried() and not tried()


@pytest.mark.parametrize("phase, starts", [("prepare", False), ("ready", False), ("freeze", True),
                                           ("check", True)])
def test_only_a_freeze_that_asked_for_a_hold_starts_retry_after(new_site, phase, starts):
    site = new_site(retry_after="1min")
    site.daemon.start()
    site.configure(App("one", faults={phase: "fail"}))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=False)
    assert ("retry_in_usec" in site.daemon.status()) == starts


def test_a_success_ends_retry_after(new_site):
    site = new_site(retry_after="200ms")
    site.daemon.start()
    site.configure(App("one", faults={"freeze": "fail"}))
    assert site.hook.freeze().status == 1
    time.sleep(0.25)
    # the same stamp of the configuration is not needed: it is over
    invariants.next_cycle_works(site, "one")
    assert "retry_in_usec" not in site.daemon.status()
