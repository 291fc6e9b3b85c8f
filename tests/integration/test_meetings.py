# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls, configurations and losses that come at a bad moment; the plugin is example."""

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from harness import process
from harness.varlink import VarlinkError
from harness.waiting import wait_until


@pytest.fixture
def lock(directory):
    path = directory / "lock"
    path.touch(mode=0o666)
    path.chmod(0o666)
    return path


@pytest.fixture
def site(house, lock):
    """The house with a file as its app main, and its daemon."""
    house.app("main", plugin="example", path=lock)
    house.daemon.start()
    return house


def spoil(house):
    (house.config / "apps.d" / "main.conf").write_bytes(b"[app]\nplugin=example\nno\xffsense=1\n")


def test_an_owner_that_calls_release_and_goes(site):
    owner = site.daemon.client()
    owner.prepare()
    owner.send_call("io.quiesced.Release")
    owner.close()
    site.daemon.wait_for_state("idle")


def test_each_freeze_that_waits_hears_of_a_wrong_configuration(site):
    begin = time.monotonic()
    with site.daemon.client() as first, site.daemon.client() as second:
        with site.daemon.client() as owner:
            owner.prepare()
            for waiting in (first, second):
                waiting.send_call("io.quiesced.Prepare", **waiting.prepare_parameters())
            site.daemon.status()
            spoil(site)
        for waiting in (first, second):
            with pytest.raises(VarlinkError) as caught:
                waiting.result()
            assert caught.value.name == "io.quiesced.Failed"
    assert time.monotonic() - begin < 5


def test_a_line_that_is_no_utf8_is_quoted_all_the_same(site):
    spoil(site)
    answer = site.hook.freeze()
    assert answer.status == 1
    assert "unknown key 'no?sense'" in answer.line


def test_a_daemon_with_another_directory_fails_the_freeze(house, lock, directory):
    house.app("main", plugin="example", path=lock)
    theirs, house.config = house.config, directory / "elsewhere"
    house.config.mkdir()
    house.daemon.start()
    house.config = theirs
    answer = house.hook.freeze()
    assert answer.status == 1
    assert "app 'main': quiesced does not know it" in answer.line
    assert not house.marker.exists()


def test_a_commit_does_not_overtake_a_loss(site):
    with site.daemon.client() as owner:
        owner.prepare()
        owner.freeze()
        worker = site.daemon.worker()
        process.stop(site.daemon.process.pid)
        owner.send_call("io.quiesced.Commit")
        process.kill(worker)
        process.go_on(site.daemon.process.pid)
        with pytest.raises(VarlinkError) as caught:
            owner.result()
    assert caught.value.name == "io.quiesced.Failed"
    assert not site.marker.exists()


def test_a_rehearsal_that_sees_a_change_ends_retry_after(site, lock):
    site.set(retry_after="60s", hold_attempt="100ms")
    with open(lock) as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert site.hook.freeze().status == 1
    assert "is tried in" in site.hook.freeze().line
    site.set(hold_attempt="200ms")
    with site.daemon.client() as rehearsal:
        rehearsal.call("io.quiesced.Prepare", **rehearsal.prepare_parameters(), rehearsal=True)
    site.daemon.wait_for_state("idle")
    answer = site.hook.freeze()
    assert answer.status == 0, answer
    assert site.hook.thaw().status == 0


def test_a_daemon_whose_hold_has_ended_retires(site):
    site.set(hold_timeout="1s")
    assert site.hook.freeze().status == 0
    with site.daemon.client() as client:
        assert client.call("io.quiesced.Retire") == {"held": True}
    assert site.daemon.process.wait(timeout=10) == 0
    site.daemon.start()
    answer = site.hook.thaw()
    assert answer.status == 1
    assert "the hold deadline passed" in answer.output


def test_a_thaw_in_the_past_is_answered(site):
    assert site.hook.freeze().status == 0
    with site.daemon.client() as client:
        client.send_call("io.quiesced.Thaw", deadline_monotonic=0)
        assert client.result()["consistent"] is False
        assert site.daemon.status()["state"] == "idle"


def waits_for_answer(pid):
    """In poll(), with a connection: it has read the marker, and asked."""
    call = Path(f"/proc/{pid}/wchan").read_text()
    return "poll" in call and any(os.readlink(path).startswith("socket:")
                                  for path in Path(f"/proc/{pid}/fd").iterdir())


def test_a_thaw_without_an_answer_leaves_the_marker_of_another_cycle(site):
    site.set(thaw_timeout="1s")
    assert site.hook.freeze().status == 0
    process.stop(site.daemon.process.pid)
    call = site.hook.begin("thaw")
    wait_until(lambda: waits_for_answer(call.process.pid), "the hook has asked")
    another = json.dumps({**json.loads(site.marker.read_text()), "cycle": "another"})
    site.marker.write_text(another)
    assert call.wait().status == 1
    assert site.marker.read_text() == another
