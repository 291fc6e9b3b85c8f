# SPDX-License-Identifier: GPL-2.0-or-later
"""A hold that is lost: the thaw says so in one line, and nothing is locked."""

import contextlib
import os
import signal
import subprocess

import pytest

from harness import process, programs
from harness.expect import failed, free
from harness.waiting import wait_until


@pytest.fixture
def held(running, server):
    """The house after a freeze."""
    answer = running.hook.freeze()
    assert answer.status == 0, answer
    assert not server.can_write()
    return running


def assert_lost(house, answer, *words):
    failed(answer, *words)
    record = house.record()
    assert record["state"] == "thawed"
    assert record["consistent"] is False
    again = house.hook.thaw()
    assert again.status == 0, again


def test_worker_killed(held, server):
    os.kill(held.daemon.worker(), signal.SIGKILL)
    assert server.can_write(seconds=1)
    assert_lost(held, held.hook.thaw(), "main")
    free(held, server)


def test_worker_killed_while_it_thaws(proxied, proxy, server):
    assert proxied.hook.freeze().status == 0
    proxy.silence()
    call = proxied.hook.begin("thaw")
    assert proxy.kept_back.wait(10)
    os.kill(proxied.daemon.worker(), signal.SIGKILL)
    assert_lost(proxied, call.wait(), "main")
    free(proxied, server)


def test_server_that_does_not_answer_the_thaw(proxied, proxy, server):
    proxied.set(thaw_timeout="1s")
    assert proxied.hook.freeze().status == 0
    proxy.silence()
    answer = proxied.hook.thaw()
    assert answer.seconds < 2
    assert_lost(proxied, answer, "main")
    free(proxied, server)


def test_server_killed(held, server):
    server.kill()
    assert_lost(held, held.hook.thaw(), "main")
    free(held)


def test_server_restarted(held, server):
    server.kill()
    server.start()
    assert server.can_write(seconds=1)
    assert_lost(held, held.hook.thaw(), "main")
    free(held, server)


def test_our_session_killed(held, server):
    for session in server.sessions("quiesced"):
        with contextlib.suppress(Exception):
            server.sql(f"KILL {session}")
    assert server.can_write(seconds=1)
    assert_lost(held, held.hook.thaw(), "main")
    free(held, server)


def test_a_lost_hold_is_told_to_the_journal_at_once(held, journal):
    os.kill(held.daemon.worker(), signal.SIGKILL)
    journal.wait_for("main", "lost")


def test_daemon_killed(held, server):
    held.daemon.kill()
    assert server.can_write(seconds=1)
    assert_lost(held, held.hook.thaw())
    free(held, server)


@pytest.mark.parametrize("end, why", [("kill", "restarted"), ("terminate", "stopped")])
def test_daemon_restarted(held, server, end, why):
    getattr(held.daemon, end)()
    assert server.can_write(seconds=1)
    held.daemon.start()
    assert_lost(held, held.hook.thaw(), f"the daemon was {why}")
    free(held, server)


def test_daemon_told_to_end_exits_with_0(held, server):
    assert held.daemon.terminate() == 0
    assert server.can_write(seconds=1)


def test_no_thaw_within_the_hold_deadline(running, server):
    running.set(hold_timeout=f"{1 + 2 * server.LEAST_WAIT}s")
    assert running.hook.freeze().status == 0
    assert not server.can_write()
    assert server.can_write(seconds=10)
    assert_lost(running, running.hook.thaw(), "main")
    free(running, server)


def test_a_stopped_daemon_cannot_keep_the_lock(running, server):
    """The worker has a timer of its own."""
    running.set(hold_timeout="1s")
    assert running.hook.freeze().status == 0
    process.stop(running.daemon.process.pid)
    assert server.can_write(seconds=10)
    process.go_on(running.daemon.process.pid)
    assert_lost(running, running.hook.thaw(), "main")


def test_daemon_that_does_not_answer_the_thaw(running, server):
    running.set(thaw_timeout="1s")
    assert running.hook.freeze().status == 0
    process.stop(running.daemon.process.pid)
    answer = failed(running.hook.thaw())
    assert answer.seconds < 1 + 10
    process.go_on(running.daemon.process.pid)
    assert server.can_write(seconds=10)


def test_a_second_freeze_ends_the_older_cycle_and_holds(held, server, journal):
    first = held.record()["cycle"]
    assert held.hook.freeze().status == 0
    assert held.record()["cycle"] != first
    assert held.record("previous.json")["cycle"] == first
    assert not server.can_write()
    wait_until(lambda: [entry for entry in list(journal.entries) if int(entry["PRIORITY"]) <= 4
                        and first in str(entry)], "a warning that nobody has thawed the older cycle")
    assert held.hook.thaw().status == 0
    free(held, server)


def test_a_thaw_without_a_freeze_succeeds(running, server):
    answer = running.hook.thaw()
    assert answer.status == 0
    assert answer.output == ""
    free(running, server)


def test_a_thaw_without_any_daemon_succeeds_when_nothing_is_held(house):
    assert house.hook.thaw().status == 0


def test_a_thaw_does_not_read_the_apps(held, server):
    (held.config / "apps.d" / "main.conf").unlink()
    assert held.hook.thaw().status == 0
    free(held, server)


def test_lost_hold_may_be_a_warning(running, server):
    running.set(lost_hold="warn")
    assert running.hook.freeze().status == 0
    os.kill(running.daemon.worker(), signal.SIGKILL)
    assert server.can_write(seconds=1)
    answer = running.hook.thaw()
    assert answer.status == 0, answer
    assert "main" in answer.line
    assert running.record()["consistent"] is False


def test_release_ends_the_hold_and_the_thaw_says_so(held, server):
    done = subprocess.run([programs.program("quiescectl"), "release"],
                          env=held.hook.environment, check=True, capture_output=True)
    assert not done.stderr
    assert server.can_write(seconds=1)
    assert_lost(held, held.hook.thaw())
    free(held, server)


def test_ctl_shows_what_is_held(held):
    done = subprocess.run([programs.program("quiescectl"), "status"], text=True,
                          env=held.hook.environment, check=True, capture_output=True)
    assert "held" in done.stdout
    assert "main" in done.stdout
