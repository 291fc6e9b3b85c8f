# SPDX-License-Identifier: GPL-2.0-or-later
"""Who meets whom: freezes, thaws, rehearsals, administrators, and silent daemons."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from faults import invariants
from faults.site import App
from harness.varlink import VarlinkError
from harness.waiting import wait_until


@pytest.fixture
def held(site):
    site.configure(App("one"), App("two"))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    return site


def test_a_second_freeze_ends_the_older_cycle(held):
    first = held.record()["cycle"]
    for _ in range(3):
        invariants.after(held, "freeze", held.hook.freeze(), consistent=True)
        assert held.record("previous.json")["cycle"] == first
        first = held.record()["cycle"]
    invariants.after(held, "thaw", held.hook.thaw(), consistent=True)
    invariants.next_cycle_works(held)


@pytest.mark.parametrize("phase", ["prepare", "freeze", "check"])
def test_a_second_freeze_that_fails_leaves_nothing_of_the_older_one(held, phase):
    held.configure(App("one", faults={phase: "fail"}), App("two"))
    invariants.after(held, "freeze", held.hook.freeze(), consistent=False)
    invariants.after(held, "thaw", held.hook.thaw(), consistent=True)


@pytest.mark.parametrize("fault", ["hang", "crash", "exit"])
def test_an_older_cycle_that_does_not_end_delays_the_newer_within_its_budget(site, fault):
    site.configure(App("one", faults={"abort": fault}), App("two"))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    site.configure(App("one"), App("two"))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)


@pytest.mark.parametrize("hooks", [2, 5])
def test_hooks_at_once(site, hooks):
    """One after the other; each ends the one before it."""
    site.configure(App("one"), App("two"))
    calls = [site.hook.begin("freeze") for _ in range(hooks)]
    answers = [call.wait() for call in calls]
    for answer in answers:
        invariants.answered(site, "freeze", answer, consistent=True)
    invariants.after(site, "freeze", answers[-1], consistent=True, record=False)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)


def test_a_hook_that_waits_for_another_one_says_so_in_time(new_site):
    site = new_site(freeze_timeout="1s")
    site.daemon.start()
    site.configure(App("one"))
    with site.daemon.client() as client:
        client.prepare(seconds=20)
        client.freeze()
        answer = site.hook.freeze()
        invariants.answered(site, "freeze", answer, consistent=False)
        assert "another freeze is under way" in answer.output
    wait_until(lambda: not site.held_apps(), "the locks go")
    invariants.next_cycle_works(site)


def test_two_thaws_at_once(held):
    """One has the verdict; neither is answered success for a hold that was lost."""
    os.kill(held.daemon.workers()["one"], signal.SIGKILL)
    wait_until(lambda: held.held_apps() == ["two"], "its lock goes")
    calls = [held.hook.begin("thaw") for _ in range(2)]
    answers = [call.wait() for call in calls]
    assert 1 in [answer.status for answer in answers], answers
    for answer in answers:
        invariants.answered(held, "thaw", answer)
    assert not held.held_apps() and not held.marker.exists()


def test_a_thaw_while_a_freeze_is_under_way(site):
    """The host has given up: the freeze must not succeed after it."""
    site.configure(App("one", faults={"check": "wait"}))
    call = site.hook.begin("freeze")
    wait_until(lambda: site.held(site.apps[0]), "the hold")
    thaw = site.hook.thaw()
    invariants.answered(site, "thaw", thaw, consistent=False)
    invariants.after(site, "freeze", call.wait(), consistent=False, record=False)
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("change", ["removed", "emptied", "broken", "other", "unreadable"])
def test_apps_that_change_while_held(held, change):
    directory = held.config / "apps.d"
    for path in directory.glob("*.conf"):
        if change in ("removed", "other"):
            path.unlink()
        elif change == "emptied":
            path.write_text("")
        elif change == "broken":
            path.write_text("[app\nplugin")
        else:
            path.chmod(0o000)
    if change == "removed":
        directory.rmdir()
    if change == "other":
        (directory / "three.conf").write_text("[app]\nplugin = none\n")
    os.unlink(held.config / "quiesced.conf")
    assert held.held_apps() == ["one", "two"]
    invariants.answered(held, "thaw", held.hook.thaw(), consistent=True)
    assert not held.held_apps() and not held.marker.exists()


def test_release_from_every_step(site):
    for step in ("prepare", "freeze", "check"):
        site.configure(App("one", faults={step: "wait"}))
        call = site.hook.begin("freeze")
        wait_until(lambda: step in site.phases(site.apps[0]), step)
        with site.daemon.client() as client:
            client.call("io.quiesced.Release", reason="a test")
        answer = call.wait()
        invariants.after(site, "freeze", answer, consistent=False)
        site.forget_phases()
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("end", ["thaw", "crash", "deadline", "release"])
def test_retire_waits_for_the_end_of_the_holds(new_site, end):
    site = new_site(hold_timeout="1s" if end == "deadline" else "30s")
    site.daemon.start()
    site.configure(App("one"))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    with site.daemon.client() as client:
        assert client.call("io.quiesced.Retire")["held"]
    assert site.held_apps() == ["one"]
    assert site.daemon.process.poll() is None
    if end == "crash":
        os.kill(site.daemon.workers()["one"], signal.SIGKILL)
    elif end == "release":
        with site.daemon.client() as client:
            client.call("io.quiesced.Release")
    wait_until(lambda: end == "thaw" or not site.held_apps(), "the hold ends")
    if site.daemon.process.poll() is None:
        # the verdict is still to be told
        invariants.answered(site, "thaw", site.hook.thaw(), consistent=end == "thaw")
    assert site.daemon.process.wait(timeout=3) == 0
    site.daemon.start()
    invariants.answered(site, "thaw", site.hook.thaw())
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("step", ["prepare", "freeze", "check"])
def test_retire_while_a_freeze_is_under_way(site, step):
    """It ends one way or the other, and nothing is held by a daemon that is going."""
    site.configure(App("one", faults={step: "wait"}))
    call = site.hook.begin("freeze")
    wait_until(lambda: step in site.phases(site.apps[0]), step)
    with site.daemon.client() as client:
        client.call("io.quiesced.Retire")
    invariants.after(site, "freeze", call.wait(), consistent=False, daemon="away")
    assert site.daemon.process.wait(timeout=3) == 0
    site.daemon.start()
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("fault", ["none", "fail", "hang", "crash"])
def test_a_rehearsal_that_meets_a_freeze(site, fault):
    """The freeze wins, and the rehearsal starts no retry-after."""
    site.configure(App("one", faults={} if fault == "none" else {"abort": fault}))
    with site.daemon.client() as client:
        client.call("io.quiesced.Prepare", rehearsal=True, **client.prepare_parameters())
        client.freeze()
        assert site.held_apps() == ["one"]
        assert not site.marker.exists()
        site.configure(App("one"))
        invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
        invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
        with pytest.raises((VarlinkError, EOFError)):
            client.commit()
    assert "retry_in_usec" not in site.daemon.status()


def test_a_rehearsal_that_meets_a_thaw(site):
    """A thaw is about what was committed: nothing."""
    site.configure(App("one"))
    with site.daemon.client() as client:
        client.call("io.quiesced.Prepare", rehearsal=True, **client.prepare_parameters())
        client.freeze()
        invariants.answered(site, "thaw", site.hook.thaw(), consistent=True)
        assert site.held_apps() == ["one"]
    wait_until(lambda: not site.held_apps(), "the rehearsal ends")
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("protocol", [0, 2, 1 << 40])
def test_a_hook_and_a_daemon_of_different_releases(site, protocol):
    """The hook cannot be made to speak another protocol: a client in its place."""
    site.configure(App("one"))
    with site.daemon.client() as client, pytest.raises(VarlinkError) as caught:
        client.prepare(protocol=protocol)
    assert caught.value.name == "io.quiesced.ProtocolMismatch"
    assert "restart quiesced.service" in caught.value.parameters["reason"]
    invariants.next_cycle_works(site)


class Impostor:
    """A daemon that answers every call with `reply`, or not at all."""

    def __init__(self, site, reply=None, accepts=True, trickle=0.0):
        self.calls = []
        self._reply = reply
        self._trickle = trickle
        self._connections = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        site.daemon.socket.unlink(missing_ok=True)
        self._listener.bind(str(site.daemon.socket))
        self._listener.listen(0 if not accepts else 8)
        if accepts:
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        pending = b""
        while True:
            try:
                data = connection.recv(65536)
                if not data:
                    if self._reply is not None:
                        connection.close()
                    return
                pending += data
                while b"\0" in pending:
                    frame, pending = pending.split(b"\0", 1)
                    self.calls.append(json.loads(frame)["method"].rpartition(".")[2])
                    self._answer(connection)
            except OSError:
                return

    def _answer(self, connection):
        if self._reply is None:
            return
        if self._trickle == 0:
            connection.sendall(self._reply)
            return
        for byte in self._reply:
            connection.sendall(bytes([byte]))
            time.sleep(self._trickle)

    def close(self):
        self._listener.close()
        for connection in self._connections:
            connection.close()


def frame(**members):
    return json.dumps(members).encode() + b"\0"


REPLIES = {
    "silence": None,
    "nothing in it": frame(parameters={}),
    "no json": b"}{\0",
    "a list": b"[]\0",
    "not utf-8": b'{"error": "\xff"}\0',
    "unknown error": frame(error="com.example.Nonsense", parameters={}),
    "protocol": frame(error="io.quiesced.ProtocolMismatch",
                      parameters={"reason": "restart quiesced.service", "protocol": 9}),
    "wrong types": frame(parameters={"cycle": 7, "apps": {"name": []}, "warnings": 1,
                                     "consistent": "yes", "held_since": "x"}),
    "control characters": frame(error="io.quiesced.Failed",
                                parameters={"reason": "a\n\x1b[31mb\x07" + "x" * 9000,
                                            "apps": []}),
    "two replies": frame(parameters={}) * 2,
    "many apps": frame(parameters={"apps": [{"name": f"app{i}"} for i in range(3000)]}),
    "flood": b"x" * (2 << 20),
    "half a frame": b'{"parameters": {',
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_a_daemon_that_answers_nonsense(new_site, reply, action):
    """The hook answers in time, in one readable line, and believes nothing."""
    site = new_site(freeze_timeout="1s")
    site.configure(App("one"))
    if action == "thaw":
        site.marker.write_text('{"cycle": "0123", "apps": ["one"]}')
    impostor = Impostor(site, reply)
    answer = site.hook.begin(action).wait()
    impostor.close()
    invariants.answered(site, action, answer, consistent=(
        False if reply not in (REPLIES["nothing in it"], REPLIES["many apps"],
                               REPLIES["wrong types"], REPLIES["two replies"])
        or action == "thaw" else None))
    assert impostor.calls[0] == ("Prepare" if action == "freeze" else "Thaw")
    record = site.record_or_none()
    assert record["state"] == ("thawed" if action == "thaw" else
                               "held" if answer.status == 0 else "failed")


@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_a_daemon_that_answers_a_byte_at_a_time(new_site, action):
    site = new_site(freeze_timeout="1s")
    site.configure(App("one"))
    if action == "thaw":
        site.marker.write_text('{"cycle": "0123", "apps": ["one"]}')
    impostor = Impostor(site, frame(parameters={"consistent": True, "warnings": ["x" * 50]}),
                        trickle=site.budget(action) / 50)
    answer = site.hook.begin(action).wait()
    impostor.close()
    invariants.answered(site, action, answer, consistent=False)


@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_a_daemon_that_accepts_nobody(new_site, action):
    """Its queue of connections is full."""
    site = new_site(freeze_timeout="1s")
    site.configure(App("one"))
    if action == "thaw":
        site.marker.write_text('{"cycle": "0123", "apps": ["one"]}')
    impostor = Impostor(site, accepts=False)
    waiting = []
    for _ in range(4):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        with pytest.raises(BlockingIOError) if waiting else open("/dev/null"):
            client.connect(str(site.daemon.socket))
        waiting.append(client)
    answer = site.hook.begin(action).wait()
    impostor.close()
    for client in waiting:
        client.close()
    invariants.answered(site, action, answer, consistent=False)


def test_a_marker_of_another_boot_is_nobodys_hold(site):
    """Restored from a snapshot with a runtime directory on disk."""
    site.daemon.terminate()
    site.marker.write_text('{"cycle": "0123", "boot_id": "another", "apps": ["one"]}')
    site.daemon.start()
    assert site.daemon.status()["state"] == "idle"
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("text", ["", "{", "[]", "x" * 100000, '{"cycle": 1}', '{"apps": "one"}'])
def test_a_marker_that_makes_no_sense(site, text):
    """It says that something was held, and one thaw tells so."""
    site.daemon.terminate()
    site.marker.write_text(text)
    site.daemon.start()
    invariants.after(site, "thaw", site.hook.thaw(), consistent=False)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    invariants.next_cycle_works(site)


def test_daemon_restarts_while_held_and_a_freeze_comes_first(held):
    held.daemon.kill()
    wait_until(lambda: not held.held_apps(), "the locks go")
    held.daemon.start()
    invariants.after(held, "freeze", held.hook.freeze(), consistent=True)
    invariants.after(held, "thaw", held.hook.thaw(), consistent=True)


def test_a_daemon_that_is_ended_twice(held):
    for _ in range(2):
        held.daemon.process.send_signal(signal.SIGTERM)
    assert held.daemon.process.wait(timeout=2) == 0
    assert not held.held_apps()
    held.daemon.start()
    invariants.after(held, "thaw", held.hook.thaw(), consistent=False)
