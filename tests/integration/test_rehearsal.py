# SPDX-License-Identifier: GPL-2.0-or-later
"""Cycles that never commit, and a daemon that is to end as soon as nothing is held."""

import subprocess

import pytest

from harness import programs
from harness.varlink import VarlinkError


def prepare_rehearsal(client):
    return client.call("io.quiesced.Prepare", **client.prepare_parameters(), rehearsal=True)


def ctl_rehearse(house):
    return subprocess.run([programs.program("quiescectl"), "rehearse"], text=True,
                          env=house.hook.environment, capture_output=True, check=False)


@pytest.fixture
def rehearsed(running):
    """A rehearsal that holds, and the connection that owns it."""
    with running.daemon.client() as client:
        prepare_rehearsal(client)
        client.freeze()
        yield client


def test_a_rehearsal_holds_and_its_end_lets_go(running, server):
    with running.daemon.client() as client:
        prepare_rehearsal(client)
        assert client.freeze()["apps"][0]["outcome"] == "held"
        assert not server.can_write()
    running.daemon.wait_for_state("idle")
    assert server.can_write(seconds=1)


def test_a_rehearsal_never_commits(rehearsed):
    with pytest.raises(VarlinkError) as caught:
        rehearsed.commit()
    assert caught.value.name == "io.quiesced.WrongState"


def test_a_rehearsal_leaves_no_marker(running, rehearsed):
    assert not running.marker.exists()


def test_a_freeze_ends_a_rehearsal_and_holds(running, server, rehearsed):
    answer = running.hook.freeze()
    assert answer.status == 0, answer
    assert not server.can_write()
    with pytest.raises(VarlinkError):
        rehearsed.commit()
    assert not server.can_write()
    assert running.hook.thaw().status == 0
    assert server.can_write(seconds=1)


def test_a_thaw_leaves_a_rehearsal_alone(running, server, rehearsed):
    assert running.hook.thaw().status == 0
    assert running.daemon.status()["state"] == "frozen"
    assert not server.can_write()


def test_a_rehearsal_is_refused_while_held(running):
    assert running.hook.freeze().status == 0
    with running.daemon.client() as client:
        with pytest.raises(VarlinkError) as caught:
            prepare_rehearsal(client)
    assert caught.value.name == "io.quiesced.Busy"
    assert running.hook.thaw().status == 0


def test_ctl_rehearses(running, server):
    done = ctl_rehearse(running)
    assert done.returncode == 0, done
    assert "app 'main': held by backup-stage" in done.stdout
    assert server.can_write(seconds=1)
    assert running.daemon.status()["state"] == "idle"


def test_ctl_tells_why_a_rehearsal_fails(running, server):
    server.kill()
    done = ctl_rehearse(running)
    assert done.returncode == 1
    assert "app 'main'" in done.stderr
    assert running.daemon.status()["state"] == "idle"


def test_an_idle_daemon_retires_at_once(running):
    with running.daemon.client() as client:
        assert client.call("io.quiesced.Retire") == {"held": False}
    assert running.daemon.process.wait(timeout=10) == 0


def test_a_daemon_that_holds_retires_after_the_thaw(running, server):
    assert running.hook.freeze().status == 0
    with running.daemon.client() as client:
        assert client.call("io.quiesced.Retire") == {"held": True}
    assert running.daemon.status()["state"] == "held"
    assert not server.can_write()
    answer = running.hook.thaw()
    assert answer.status == 0, answer
    assert running.daemon.process.wait(timeout=10) == 0
    assert not running.marker.exists()
