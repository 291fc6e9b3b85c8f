# SPDX-License-Identifier: GPL-2.0-or-later
"""No descriptors, no memory: of hook, daemon and worker."""

import os
import random
import signal
import subprocess

import pytest

from faults import invariants
from faults.site import App, built
from harness import programs
from harness.varlink import VarlinkError

# fds that a program gets by with, and with how many it has to manage everything
DESCRIPTORS = [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32]
ENOUGH = 32

no_sanitizer = pytest.mark.skipif("programs.sanitized()",
                                  reason="the address sanitizer has to come first")


def freeze_and_thaw(site, freeze=(), thaw=(), daemon="runs"):
    """A cycle that may fail, but not otherwise than said."""
    site.configure(App("one"), App("two", "optional"))
    answer = site.hook.begin("freeze", freeze).wait()
    invariants.after(site, "freeze", answer, daemon=daemon, record=False,
                     grace=0.0 if daemon == "runs" else 1.5)
    answer = site.hook.begin("thaw", thaw).wait()
    invariants.after(site, "thaw", answer, daemon=daemon, record=False, grace=1.5)


@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_descriptors_of_the_hook(site, action, count):
    site.script("10-script", "exit 0")
    for limit in DESCRIPTORS:
        prefix = ["prlimit", f"--nofile={limit}", "--"]
        site.configure(App("one"))
        freeze = site.hook.begin("freeze", prefix if action == "freeze" else ()).wait()
        assert freeze.status >= 0, freeze
        if action == "freeze" and limit < 6:    # no program starts with less
            assert freeze.status != 0
        invariants.after(site, "freeze", freeze, record=False) if freeze.status < 2 else None
        thaw = site.hook.begin("thaw", prefix if action == "thaw" else ()).wait()
        assert thaw.status >= 0, thaw
        if thaw.status != 0:
            thaw_again = site.hook.thaw()   # the marker has stayed
            invariants.after(site, "thaw", thaw_again, record=False)
        assert not site.held_apps()
        if limit == ENOUGH:
            assert freeze.status == thaw.status == 0, (freeze, thaw)
        count(cycles=1, faults=1)
    invariants.next_cycle_works(site)


def test_descriptors_of_the_daemon(new_site, count):
    site = new_site(freeze_timeout="2s")
    site.daemon.start()
    for limit in range(5, 40):
        daemon = site.daemon.process
        os.system(f"prlimit --pid {daemon.pid} --nofile={limit}:1024")
        freeze_and_thaw(site)
        assert daemon.poll() is None, "the daemon has ended"
        os.system(f"prlimit --pid {daemon.pid} --nofile=1024:1024")
        count(cycles=1, faults=1)
    invariants.next_cycle_works(site)


@pytest.mark.parametrize("limit", DESCRIPTORS[2:])
def test_descriptors_of_the_worker(new_site, limit):
    site = new_site()
    site.wrap_worker(["prlimit", f"--nofile={limit}", "--"])
    site.daemon.start()
    site.configure(App("one"))
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=True if limit >= ENOUGH else None)
    invariants.after(site, "thaw", site.hook.thaw())


class Memory:
    """Lets allocations fail (failing_malloc.c)."""

    def __init__(self, site, program):
        self.note = site.directory / "failed-allocations"
        self.note.touch()
        os.chown(self.note, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        self._library = site.programs / "failing_malloc.so"
        self._library.write_bytes(built("failing_malloc.so").read_bytes())
        self._library.chmod(0o755)
        self._program = program

    def environment(self, number, many=1):
        os.truncate(self.note, 0)
        return {"LD_PRELOAD": str(self._library), "FAULT_MALLOC_PROGRAM": self._program,
                "FAULT_MALLOC_FAIL": str(number), "FAULT_MALLOC_MANY": str(many),
                "FAULT_MALLOC_NOTE": str(self.note)}

    def wrapper(self, number, many=1):
        return ["env", *(f"{key}={value}"
                         for key, value in self.environment(number, many).items())]

    def failed(self):
        return len(self.note.read_text().splitlines())

    def may_have_ended(self, status):
        """json-c ends its process where it gets no memory. That is as a SIGKILL."""
        return status in (-signal.SIGABRT, -signal.SIGSEGV) and any(
            self._json_asked(line.split()) for line in self.note.read_text().splitlines())

    @staticmethod
    def _json_asked(callers):
        """It may be linked into the program, too."""
        for caller in callers:
            library, offset = caller.rsplit("+", 1)
            if "libjson-c" in library:
                return True
            name = subprocess.run(["addr2line", "-fe", library, offset], check=False,
                                  capture_output=True, text=True).stdout
            if name.startswith(("json_", "printbuf_")):
                return True
        return False


def script(site, name, prefix, program):
    """A program that is `program`, started by `prefix`."""
    path = site.programs / name
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in prefix)
                    + f' {program} "$@"\n')
    path.chmod(0o755)
    return path


def numbers(sampling, what, last, sample):
    if sampling.every:
        return range(1, last + 1)
    return sorted(random.Random(f"{sampling.seed}-{what}").sample(range(1, last + 1), sample))


@no_sanitizer
@pytest.mark.parametrize("many", [1, 1000000])
@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_memory_of_the_hook(site, action, many, sampling, count):
    memory = Memory(site, "fsfreeze-hook")
    for number in numbers(sampling, f"hook {action} {many}", 400, 20):
        site.configure(App("one"), App("two", "optional"))
        wrapper = memory.wrapper(number, many)
        freeze = site.hook.begin("freeze", wrapper if action == "freeze" else ()).wait()
        ended = memory.may_have_ended(freeze.status)
        assert freeze.status >= 0 or ended, f"allocation {number}: {freeze}"
        invariants.after(site, "freeze", freeze, killed=ended, grace=1.0 if ended else 0.0,
                         record=False)
        thaw = site.hook.begin("thaw", wrapper if action == "thaw" else ()).wait()
        ended = memory.may_have_ended(thaw.status)
        assert thaw.status >= 0 or ended, f"allocation {number}: {thaw}"
        count(cycles=1, faults=memory.failed())
        # one that had no memory to ask leaves the marker, and the next one asks
        invariants.after(site, "thaw", site.hook.thaw() if thaw.status else thaw, record=False)
    invariants.next_cycle_works(site)


@no_sanitizer
@pytest.mark.parametrize("many", [1, 20])
def test_memory_of_the_daemon(new_site, many, sampling, count):
    site = new_site(freeze_timeout="2s")
    memory = Memory(site, "quiesced")
    program = site.quiesced
    for number in numbers(sampling, f"daemon {many}", 600, 12):
        site.quiesced = script(site, "poor-daemon", memory.wrapper(number, many), program)
        try:
            site.daemon.start()
        except (RuntimeError, EOFError, ValueError, VarlinkError):
            pass
        count(cycles=1, faults=memory.failed())
        freeze_and_thaw(site, daemon="away")
        status = site.daemon.process.poll()
        assert status is None or status == 1 or memory.may_have_ended(status), (number, status)
        if status is None:
            status = site.daemon.terminate()
            assert status == 0 or memory.may_have_ended(status), (number, status)
        # a marker may be left: the verdict of the one that ended
        site.quiesced = program
        site.daemon.start()
        site.hook.thaw()
        invariants.next_cycle_works(site)
        site.daemon.terminate()


@no_sanitizer
@pytest.mark.parametrize("many", [1, 1000000])
def test_memory_of_the_worker(site, many, sampling, count):
    memory = Memory(site, "quiesced-worker")
    program = site.worker
    for number in numbers(sampling, f"worker {many}", 260, 20):
        site.daemon.terminate()
        site.worker = program
        site.wrap_worker(["env"], memory.environment(number, many))
        site.daemon.start()
        site.configure(App("one"))
        invariants.after(site, "freeze", site.hook.freeze())
        invariants.after(site, "thaw", site.hook.thaw())
        count(cycles=1, faults=memory.failed())
