# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that are full, read-only, or really frozen."""

import os
import subprocess
import time

import pytest

from faults import invariants
from faults.site import App
from harness import process, programs
from harness.filesystem import Filesystem
from harness.waiting import wait_until


@pytest.fixture
def mounted(site):
    """mounted("size=64k") puts a tmpfs over the state directory."""
    def mount(options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "state", site.state], check=True)
    yield mount
    subprocess.run(["umount", "-l", site.state], check=False)


def cycle(site, **more):
    """One cycle that has to succeed, whatever becomes of the record."""
    site.configure(App("one"), App("two"))
    freeze = site.hook.freeze()
    invariants.after(site, "freeze", freeze, consistent=True, **more)
    thaw = site.hook.thaw()
    invariants.after(site, "thaw", thaw, consistent=True, **more)


def test_a_full_state_directory(site, mounted):
    mounted("size=16k")
    with pytest.raises(OSError), open(site.state / "fills", "wb") as file:
        file.write(b"x" * (1 << 20))
    cycle(site, record=False)
    assert "cannot write the record" in site.log.read_text()
    assert {path.name for path in site.state.iterdir()} == {"fills"}
    (site.state / "fills").unlink()
    cycle(site)


def test_a_state_directory_that_is_full_only_for_the_next_record(site, mounted):
    """An image must not carry an older success."""
    mounted("size=64k")
    cycle(site)
    with pytest.raises(OSError), open(site.state / "fills", "wb") as file:
        file.write(b"x" * (1 << 20))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True, record=False)
    assert not (site.state / "record.json").exists()
    assert (site.state / "previous.json").exists()
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True, record=False)
    (site.state / "fills").unlink()
    cycle(site)


def test_a_state_directory_without_inodes(site, mounted):
    mounted("size=64k,nr_inodes=2")
    (site.state / "takes-the-last-one").touch()
    cycle(site, record=False)
    assert "cannot write the record" in site.log.read_text()


def test_a_read_only_state_directory(site, mounted):
    mounted("ro")
    cycle(site, record=False)
    assert "cannot write the record" in site.log.read_text()


def test_a_failed_freeze_with_a_read_only_state_directory(site, mounted):
    mounted("ro")
    site.configure(App("faulty", faults={"freeze": "fail"}))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=False, record=False)


def test_a_full_log_directory(site):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "log", site.log.parent], check=True)
    try:
        site.log.write_bytes(b"x" * 4096)
        cycle(site)
    finally:
        subprocess.run(["umount", "-l", site.log.parent], check=False)


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_a_runtime_directory_that_takes_no_marker(site, options):
    """Without a marker nothing may be held: a restart would forget it."""
    site.configure(App("one"))
    site.daemon.terminate()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,uid=65534,size=4k", "run",
                    site.runtime], check=True)
    try:
        site.daemon.start()
        if options == "ro":
            subprocess.run(["mount", "-o", "remount,ro", site.runtime], check=True)
        else:
            with pytest.raises(OSError), open(site.runtime / "fills", "wb") as file:
                file.write(b"x" * (1 << 20))
        answer = site.hook.freeze()
        invariants.after(site, "freeze", answer, consistent=False)
        assert "marker" in answer.output
        subprocess.run(["mount", "-o", "remount,rw", site.runtime], check=True)
        (site.runtime / "fills").unlink(missing_ok=True)
        invariants.next_cycle_works(site)
    finally:
        site.daemon.terminate()
        subprocess.run(["umount", "-l", site.runtime], check=False)


@pytest.fixture
def frozen(new_filesystem):
    """A really frozen ext4 with a file that the daemon's user may write."""
    disk = new_filesystem("frozen-disk", 16)
    disk.file = disk.mountpoint / "file"
    disk.file.touch()
    os.chown(disk.file, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
    os.sync()
    disk.freeze()
    yield disk
    disk.thaw()


def in_state_d(site, disk):
    """The workers that wait for the frozen disk."""
    found = []
    for pid, _ in site.children():
        if process.state(pid) == "D":
            found.append(pid)
    return found


@pytest.mark.parametrize("phase", ["prepare", "freeze", "check"])
def test_a_worker_in_state_d(site, frozen, phase):
    """It cannot be killed: the hook answers in time, the others are free, and the next
    cycle names it (I6)."""
    site.configure(App("stuck", faults={phase: "stuck"}, options={"file": frozen.file}),
                   App("healthy"))
    answer = site.hook.freeze()
    invariants.answered(site, "freeze", answer, consistent=False)
    assert "'stuck'" in answer.output
    (pid,) = in_state_d(site, frozen)
    # what it holds, it holds until it can die; the others hold nothing
    assert site.held_apps() == (["stuck"] if phase != "prepare" else [])
    again = site.hook.freeze()
    invariants.answered(site, "freeze", again, consistent=False)
    assert again.seconds < 1.5
    assert "'stuck'" in again.output and str(pid) in again.output
    assert len(in_state_d(site, frozen)) == 1
    site.configure(App("stuck", "optional"), App("healthy"))
    invariants.answered(site, "freeze", site.hook.freeze(), consistent=True)
    assert site.held(site.apps[1])
    invariants.answered(site, "thaw", site.hook.thaw(), consistent=True)
    frozen.thaw()
    wait_until(lambda: not site.children(), "it dies, and is reaped")
    assert not site.held_apps()
    invariants.next_cycle_works(site, "stuck")


def test_a_worker_in_state_d_at_the_thaw(site, frozen):
    site.configure(App("stuck", faults={"thaw": "stuck"}, options={"file": frozen.file}),
                   App("healthy"))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    answer = site.hook.thaw()
    invariants.answered(site, "thaw", answer, consistent=False)
    assert site.held_apps() == ["stuck"]
    assert "'stuck'" in answer.output
    frozen.thaw()
    wait_until(lambda: not site.held_apps(), "it lets go by dying")
    invariants.next_cycle_works(site, "stuck")


def test_a_daemon_that_ends_beside_a_worker_in_state_d(site, frozen):
    site.configure(App("stuck", faults={"freeze": "stuck"}, options={"file": frozen.file}))
    invariants.answered(site, "freeze", site.hook.freeze(), consistent=False)
    begin = time.monotonic()
    assert site.daemon.terminate() == 0
    assert time.monotonic() - begin < 1 + invariants.SLACK
    frozen.thaw()
    wait_until(lambda: not site.held_apps(), "it lets go by dying")
    site.daemon.start()
    invariants.next_cycle_works(site)


@pytest.fixture
def stuck_sync(new_filesystem):
    """sync(2) waits while this lasts: there is dirty data in a file system whose image
    lies in a frozen one. Shortly, since it waits for everybody on this machine."""
    outer = new_filesystem("outer", 40)
    inner = Filesystem(outer.mountpoint / "image", outer.mountpoint.with_name("inner"), 8)
    try:
        with open(inner.mountpoint / "dirty", "wb", buffering=0) as file:
            file.write(b"x" * (1 << 20))
            outer.freeze()
        yield outer
    finally:
        outer.thaw()
        inner.close()


def test_a_stuck_sync(new_site, stuck_sync):
    """It is given up after a third of the time, no second one is started, and the holds
    are taken all the same."""
    site = new_site(sync="yes", freeze_timeout="2s")
    site.daemon.start()
    site.configure(App("one"))
    warning = "sync was late"
    for _ in range(2):
        freeze = site.hook.freeze()
        invariants.answered(site, "freeze", freeze, consistent=True)
        assert site.held_apps() == ["one"]
        assert warning in str(site.record()["warnings"])
        assert len([pid for pid, _ in site.children() if process.state(pid) == "D"]) == 1
        invariants.answered(site, "thaw", site.hook.thaw(), consistent=True)
        assert not site.held_apps()
        warning = "the one of an earlier cycle still runs"
    begin = time.monotonic()
    assert site.daemon.terminate() == 0
    assert time.monotonic() - begin < 1 + invariants.SLACK
    site.daemon.start()
    stuck_sync.thaw()
    invariants.next_cycle_works(site)
