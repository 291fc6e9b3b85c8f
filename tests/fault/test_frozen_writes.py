# SPDX-License-Identifier: GPL-2.0-or-later
"""I5: from Commit to the thaw daemon and workers write to no disk, start no process,
and wait for nobody who does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults import invariants, tracing
from faults.site import App
from harness.journal import SOCKET, parse
from harness.waiting import wait_until

needs_strace = pytest.mark.skipif("not shutil.which('strace')", reason="needs strace")


def begin(site):
    """A trace from before Commit on; the daemon must not be a child of strace."""
    return tracing.Trace(site, [site.daemon.process.pid])


def look(site, trace):
    calls = tracing.between(trace.end(), "io.quiesced.Commit", "consistent")
    assert [call for call in calls if call[1] in tracing.SENDS], "nothing was seen"
    assert len({pid for pid, _, _ in calls}) > 1, "no worker was seen"
    found = tracing.violations(site, calls)
    assert not found, "\n".join(found)


@needs_strace
@pytest.mark.parametrize("meanwhile", ["nothing", "lost", "killed", "status", "deadline",
                                       "released", "hangs"])
def test_system_calls_while_held(new_site, meanwhile):
    site = new_site(hold_timeout="1s" if meanwhile == "deadline" else "30s")
    site.daemon.start()
    apps = [App("one", traced=False), App("two", "optional", traced=False)]
    apps[0].options["lose"] = site.fifo(apps[0])
    if meanwhile == "hangs":
        apps[0].faults["thaw"] = "hang"
    site.configure(*apps)
    trace = begin(site)
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    if meanwhile == "lost":
        site.lose(apps[0])
    elif meanwhile == "killed":
        os.kill(site.daemon.workers()["one"], signal.SIGKILL)
    elif meanwhile == "status":
        assert site.daemon.status()["state"] == "held"
    elif meanwhile == "released":
        with site.daemon.client() as client:
            client.call("io.quiesced.Release", reason="a test")
    if meanwhile in ("lost", "killed", "deadline", "released"):
        wait_until(lambda: not site.held(apps[0]), "the lock goes")
        time.sleep(0.05)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=meanwhile in ("nothing", "status"))
    look(site, trace)


@needs_strace
def test_the_tracer_sees_what_it_should(site):
    """The plugin writes a line of its own at the thaw: a violation."""
    site.configure(App("one"))
    trace = begin(site)
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    calls = tracing.between(trace.end(), "io.quiesced.Commit", "consistent")
    found = tracing.violations(site, calls)
    assert [line for line in found if "one.trace" in line and " openat(" in line], found
    assert [line for line in found if "one.trace" in line and " write(" in line], found


@needs_strace
def test_system_calls_while_a_server_is_held(running, server):
    """The same with MariaDB, whose socket the worker may wait for."""
    trace = tracing.Trace(running, [running.daemon.process.pid])
    assert running.hook.freeze().status == 0
    worker = running.daemon.worker()
    assert not server.can_write()
    assert running.hook.thaw().status == 0
    calls = tracing.between(trace.end(), "io.quiesced.Commit", "consistent")
    assert worker in {pid for pid, _, _ in calls}
    found = tracing.violations(running, calls, sockets_may_wait=[worker])
    assert not found, "\n".join(found)


JOURNALD = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
file = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("listening", flush=True)
while True:
    entry = listener.recv(1 << 18)
    os.write(file, len(entry).to_bytes(8, "little") + entry)
"""


class Journald:
    """As the real one: it takes no entry while its disk is frozen."""

    def __init__(self, path):
        self.path = path
        Path(SOCKET).unlink(missing_ok=True)
        self._process = subprocess.Popen([sys.executable, "-c", JOURNALD, SOCKET, path],
                                         stdout=subprocess.PIPE)
        assert self._process.stdout.readline() == b"listening\n"

    def entries(self):
        data = self.path.read_bytes()
        found = []
        while data:
            size = int.from_bytes(data[:8], "little")
            found.append(parse(data[8:8 + size]))
            data = data[8 + size:]
        return found

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        Path(SOCKET).unlink(missing_ok=True)


@pytest.fixture
def frozen_site(new_site, journal, new_filesystem):
    """State, log and journal lie on one file system."""
    journal.close()
    disk = new_filesystem("disk", 40)
    journald = Journald(disk.mountpoint / "journal")
    site = new_site(freeze_timeout="4s")
    for name in ("state", "log"):
        shutil.rmtree(getattr(site, name) if name == "state" else site.log.parent)
        (disk.mountpoint / name).mkdir()
    site.state = disk.mountpoint / "state"
    site.log = disk.mountpoint / "log" / "fsfreeze-hook.log"
    site.hook.environment.update(site.environment())
    site.disk, site.journald = disk, journald
    yield site
    disk.thaw()
    site.close()
    journald.close()


def usec():
    return time.time_ns() // 1000


def test_a_frozen_disk_delays_nothing_and_loses_nothing(frozen_site):
    """All that is said while everything is frozen, and the journal's queue full, comes
    out afterwards with its own time, or is counted."""
    site, disk = frozen_site, frozen_site.disk
    site.daemon.start()
    # enough to fill queue (sockets) and ring (ours), from the worker, while frozen
    babbler = App("babbler", "optional", faults={"thaw": "babble"})
    site.configure(App("one"), babbler)
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    disk.freeze()
    began = usec()
    try:
        os.kill(site.daemon.workers()["one"], signal.SIGKILL)
        wait_until(lambda: not site.held(site.apps[0]), "the lock goes")
        assert site.daemon.status()["state"] == "held"
        # the host thaws, the disk is slow to come back: the answer is in time all the same
        answer = site.hook.thaw()
        invariants.answered(site, "thaw", answer, consistent=False)
        assert "'one'" in answer.output
        assert not site.held_apps()
        assert site.daemon.status()["state"] == "idle"
        ended = usec()
    finally:
        disk.thaw()

    def told(text):
        return [entry for entry in site.journald.entries() if text in entry.get("MESSAGE", "")]

    wait_until(lambda: told("was killed by signal 9"), "the lost hold")
    wait_until(lambda: told("log entries were dropped"), "what was dropped", 5)
    (lost,) = [entry for entry in told("was killed by signal 9")
               if entry.get("QUIESCED_APP") == "one"]
    assert began <= int(lost["QUIESCED_TIME_USEC"]) <= ended
    assert lost["QUIESCED_APP"] == "one"
    babble = [entry for entry in told("babble?") if entry.get("QUIESCED_APP") == "babbler"]
    assert babble

    for entry in babble:
        assert began <= int(entry["QUIESCED_TIME_USEC"]) <= ended, entry
    dropped = sum(int(entry["MESSAGE"].split()[0]) for entry in told("log entries were dropped"))
    assert dropped > 0
    assert not site.children()


def test_a_freeze_that_meets_a_frozen_disk(frozen_site):
    """Nobody writes the record, and nobody waits for it longer than its second."""
    site, disk = frozen_site, frozen_site.disk
    site.daemon.start()
    site.configure(App("one"))
    invariants.next_cycle_works(site, "one")
    disk.freeze()
    try:
        for _ in range(2):
            freeze = site.hook.freeze()
            invariants.answered(site, "freeze", freeze, consistent=True)
            assert freeze.seconds < 2
            assert site.held_apps() == ["one"]
            invariants.answered(site, "thaw", site.hook.thaw(), consistent=True)
            assert not site.held_apps()
    finally:
        disk.thaw()
    invariants.next_cycle_works(site, "one")
    assert json.loads((site.state / "record.json").read_text())["state"] == "thawed"
