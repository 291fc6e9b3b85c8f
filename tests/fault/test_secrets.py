# SPDX-License-Identifier: GPL-2.0-or-later
"""I7: a password is looked for wherever a process shows something."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest

from faults import invariants
from faults.site import App
from harness.waiting import wait_until

# No byte string of a program has it
CANARY = "kanarienvogel-7391-c4"
OPEN_TO_ALL = ("cmdline", "environ", "comm", "status", "maps", "smaps", "mountinfo")


def shown(pid):
    """What /proc says of a process, beside its memory."""
    for name in OPEN_TO_ALL:
        with contextlib.suppress(OSError):
            yield f"/proc/{pid}/{name}", Path(f"/proc/{pid}/{name}").read_bytes()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(descriptor), os.readlink(descriptor).encode()


def memory(pid):
    """All memory that the process can write."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as file:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match and "[v" not in line:
                begin, end = int(match[1], 16), int(match[2], 16)
                if end - begin < 64 << 20:
                    file.seek(begin)
                    with contextlib.suppress(OSError):
                        yield file.read(end - begin)


def look(places):
    found = [place for place, text in places if CANARY.encode() in text]
    assert not found, found


def files(site):
    for directory in (site.runtime, site.state, site.log.parent, Path(f"{site.runtime}-hook")):
        for path in directory.rglob("*") if directory.exists() else []:
            if path.is_file():
                yield str(path), path.read_bytes()
    yield "daemon.log", site.daemon.log.read_bytes()


@pytest.fixture
def secretive(new_site, journal):
    site = new_site(freeze_timeout="2s")
    site.journal = journal
    site.daemon.start()
    return site


def everything(site, *pids):
    for pid in (site.daemon.process.pid, *pids):
        yield from shown(pid)
    yield from files(site)
    yield "journal", str(site.journal.entries).encode()
    with site.daemon.client() as client:
        yield "status", str(client.status()).encode()


def secret(name="one", **more):
    return App(name, options={"password": CANARY}, **more)


def test_while_held(secretive):
    site = secretive
    site.configure(secret())
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    worker = site.daemon.workers()["one"]
    look(everything(site, worker))
    # the worker has it, and so the test looks where it should
    assert any(CANARY.encode() in piece for piece in memory(worker))
    for pid in (worker, site.daemon.process.pid):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        # not dumpable: no core, and no tracer but root
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    look(everything(site))


def test_in_the_hook_while_it_runs(secretive):
    site = secretive
    site.configure(secret(faults={"freeze": "wait"}))
    call = site.hook.begin("freeze")
    wait_until(lambda: "freeze" in site.phases(site.apps[0]), "the freeze")
    look(everything(site, call.process.pid))
    assert not any(CANARY.encode() in piece for piece in memory(call.process.pid))
    invariants.after(site, "freeze", call.wait(), consistent=False)


def test_not_in_the_daemons_memory(secretive):
    """It reads the app's file for its own section, and forgets the rest."""
    site = secretive
    site.configure(secret())
    for _ in range(3):
        invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
        assert not any(CANARY.encode() in piece
                       for piece in memory(site.daemon.process.pid)), "while held"
        invariants.after(site, "thaw", site.hook.thaw(), consistent=True)


@pytest.mark.parametrize("phase, fault", [("prepare", "fail"), ("freeze", "babble"),
                                          ("check", "crash"), ("ready", "fail"),
                                          ("thaw", "fail")])
def test_after_a_failure(secretive, phase, fault):
    site = secretive
    site.configure(secret(faults={phase: fault}))
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=phase == "thaw")
    thaw = site.hook.thaw()
    look([*everything(site), ("answers", (answer.output + thaw.output).encode())])


@pytest.mark.parametrize("text", [
    f"[app]\nplugin = fault\n[fault]\npassword = {CANARY}\n",
    f"[app]\nplugin = fault\n[fault]\nlock = /x\npasword = {CANARY}\n",
    f"[app]\nplugin = fault\n[fault]\nlock = /x\n{CANARY}\n",
    f"[app]\nplugin = fault\n[fault]\nlock = /x\npassword {CANARY}\n",
    f"[app]\nplugin = fault\npassword = {CANARY}\n[fault]\nlock = /x\n",
    f"[app]\nplugin = fault\n[falt]\npassword = {CANARY}\n",
    f"[app]\nplugin = fault\n[fault]\nlock = /x\npassword = {CANARY}\npassword = {CANARY}\n",
    f"password = {CANARY}\n[app]\nplugin = fault\n",
], ids=["key missing", "key mistyped", "line without a key", "line without =", "wrong section",
        "section mistyped", "key twice", "before any section"])
def test_a_file_that_is_wrong(secretive, text):
    """No message repeats a value."""
    site = secretive
    site.configure(secret())
    (site.config / "apps.d" / "one.conf").write_text(text)
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=False)
    look([*everything(site), ("answer", answer.output.encode())])


def test_a_secret_that_others_can_read(secretive):
    site = secretive
    site.configure(secret())
    (site.config / "apps.d" / "one.conf").chmod(0o644)
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=False)
    assert "one.conf" in answer.output
    look([*everything(site), ("answer", answer.output.encode())])


def test_a_core_of_the_worker(secretive):
    """Wherever the kernel would put one."""
    site = secretive
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    site.configure(secret(faults={"thaw": "crash"}))
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    worker = site.daemon.workers()["one"]
    cwd = Path(os.readlink(f"/proc/{worker}/cwd"))
    before = set(cwd.glob("*core*"))
    os.kill(worker, signal.SIGQUIT)
    wait_until(lambda: not site.held_apps(), "it dies")
    assert set(cwd.glob("*core*")) == before, pattern
    site.hook.thaw()
