# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts that do what scripts do; what tests/integration/test_scripts.py has not."""

import os
import signal
import time
from pathlib import Path

import pytest

from faults import invariants
from faults.site import App
from harness import process
from harness.waiting import wait_until

NOTE = 'echo "${0##*/} $1" >>$D/calls'
THAW = '[ $1 = thaw ] && exit'


@pytest.fixture
def scripted(new_site):
    site = new_site(freeze_timeout="4s", script_timeout="500ms")
    site.daemon.start()
    site.configure(App("one"))
    site.script("10-first", NOTE)
    return site


def calls(site):
    path = site.directory / "calls"
    return path.read_text().splitlines() if path.exists() else []


def freeze_fails(site, *words):
    """It fails, names the script, undoes it and those before it."""
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=False)
    assert "20-faulty" in answer.output
    assert all(word in answer.output for word in words), answer
    assert calls(site)[-2:] == ["20-faulty thaw", "10-first thaw"]
    assert not os.path.exists(f"{site.runtime}-hook/scripts.json")
    invariants.after(site, "thaw", site.hook.thaw())
    return answer


def pid_of(site, name):
    path = site.directory / name
    wait_until(lambda: path.exists() and path.read_text().strip(), name)
    return int(path.read_text())


def gone(pid):
    wait_until(lambda: not process.lives(pid), f"{pid} ends")


@pytest.mark.parametrize("number", ["KILL", "SEGV", "TERM", "HUP"])
def test_one_that_is_killed(scripted, number):
    scripted.script("20-faulty", f"{NOTE}; {THAW}; kill -{number} $$; sleep 5")
    freeze_fails(scripted, "killed by signal")


def test_one_that_stops_half_way(scripted):
    """SIGSTOP: SIGTERM would wait for it for ever."""
    scripted.script("20-faulty", f"{NOTE}; {THAW}; echo $$ >$D/pid; kill -STOP $$; exit 0")
    freeze_fails(scripted, "not done within")
    gone(pid_of(scripted, "pid"))


def test_one_that_ignores_sigterm(scripted):
    scripted.script("20-faulty", f"trap '' TERM HUP INT; {NOTE}; {THAW}; echo $$ >$D/pid\n"
                                 "while :; do sleep 0.1; done")
    freeze_fails(scripted, "not done within", "killed")
    gone(pid_of(scripted, "pid"))


def test_one_whose_children_ignore_sigterm(scripted):
    scripted.script("20-faulty", f"{NOTE}; {THAW}\nsh -c \"trap '' TERM; echo \\$\\$ >$D/pid;"
                                 " while :; do sleep 0.1; done\" &\nwait")
    freeze_fails(scripted)
    gone(pid_of(scripted, "pid"))


def test_50_megabytes_of_output(scripted):
    scripted.set(script_timeout="3s", script_thaw_timeout="3s")
    scripted.script("20-floods", "head -c 52428800 /dev/zero | tr '\\0' x; echo; echo last")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    invariants.after(scripted, "thaw", scripted.hook.thaw(), consistent=True)
    assert scripted.log.stat().st_size < 1 << 20
    assert "dropped" in scripted.log.read_text()


def test_output_without_an_end(scripted):
    scripted.script("20-faulty", f"{NOTE}; {THAW}; exec yes")
    freeze_fails(scripted, "not done within")


@pytest.mark.parametrize("action", ["freeze", "thaw"])
def test_one_that_leaves_a_daemon_that_floods(scripted, action):
    """In a session of its own, with the script's output: nobody waits for it, and it
    dies of no SIGPIPE."""
    scripted.script("20-leaves", f"[ $1 = {action} ] || exit 0\n"
                    "setsid sh -c 'echo $$ >$0; trap \"echo pipe >$0.pipe\" PIPE; while :;"
                    " do echo flood flood flood flood; done' $D/pid &\n"
                    "while ! [ -s $D/pid ]; do :; done")
    freeze = scripted.hook.freeze()
    invariants.after(scripted, "freeze", freeze, consistent=True)
    thaw = scripted.hook.thaw()
    pid = pid_of(scripted, "pid")
    try:
        invariants.after(scripted, "thaw", thaw, consistent=True)
        assert process.lives(pid)
        assert not (scripted.directory / "pid.pipe").exists()
    finally:
        os.kill(pid, signal.SIGKILL)


def test_one_that_daemonises_and_closes_everything(scripted):
    scripted.script("20-daemonises", "[ $1 = thaw ] || { (setsid sh -c 'echo $$ >$0;"
                    " exec sleep 60' $D/pid </dev/null >/dev/null 2>&1 &) ; }")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    invariants.after(scripted, "thaw", scripted.hook.thaw(), consistent=True)
    os.kill(pid_of(scripted, "pid"), signal.SIGKILL)


def test_a_thaw_script_that_still_runs_at_the_next_freeze(scripted):
    scripted.script("20-slow", "[ $1 = freeze ] || { echo $$ >$D/pid; exec sleep 300; }")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    thaw = scripted.hook.thaw()
    invariants.after(scripted, "thaw", thaw, consistent=False, record=False)
    assert "20-slow" in thaw.output and "one" not in thaw.output
    pid = pid_of(scripted, "pid")
    assert not [path for path in Path(f"/proc/{pid}/fd").iterdir()
                if os.readlink(path).startswith("socket:")], "a descriptor of the hook's"
    for _ in range(2):
        freeze = scripted.hook.freeze()
        invariants.after(scripted, "freeze", freeze, consistent=False)
        assert "20-slow" in freeze.output and str(pid) in freeze.output
    os.kill(pid, signal.SIGKILL)
    (scripted.directory / "hooks.d" / "20-slow").unlink()
    gone(pid)
    invariants.next_cycle_works(scripted)


@pytest.mark.parametrize("following", ["freeze", "thaw"])
def test_a_hook_that_is_killed_between_two_scripts(scripted, following):
    """What had frozen, and what was freezing, is thawed by the next call."""
    scripted.set(script_timeout="5s")
    scripted.script("20-second", NOTE)
    scripted.script("30-slow", f"{NOTE}; {THAW}; [ -e $D/once ] && exit; : >$D/once; sleep 30")
    call = scripted.hook.begin("freeze")
    wait_until(lambda: "30-slow freeze" in calls(scripted), "the third script")
    call.kill()
    invariants.after(scripted, "freeze", None, killed=True, grace=2.5)
    before = len(calls(scripted))
    answer = getattr(scripted.hook, following)()
    invariants.after(scripted, following, answer, consistent=True,
                     record=following == "freeze")
    undone = calls(scripted)[before:before + 3]
    assert undone == ["30-slow thaw", "20-second thaw", "10-first thaw"]
    if following == "freeze":
        invariants.after(scripted, "thaw", scripted.hook.thaw(), consistent=True)


def test_a_hook_that_is_killed_while_it_thaws_scripts(scripted):
    scripted.set(script_thaw_timeout="5s")
    scripted.script("20-slow", f"{NOTE}; [ $1 = freeze ] && exit; [ -e $D/once ] && exit;"
                               " : >$D/once; sleep 1")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    call = scripted.hook.begin("thaw")
    wait_until(lambda: "20-slow thaw" in calls(scripted), "the slow script")
    assert not scripted.held_apps(), "the apps go first"
    call.kill()
    answer = scripted.hook.thaw()
    assert answer.status == 0, answer
    assert "10-first thaw" in calls(scripted)
    invariants.next_cycle_works(scripted)


def test_a_script_that_removes_itself(scripted):
    scripted.script("20-faulty", f"{NOTE}; rm -f $0")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    answer = scripted.hook.thaw()
    invariants.after(scripted, "thaw", answer)
    assert calls(scripted)[-1] == "10-first thaw"
    assert "20-faulty" in scripted.log.read_text()


def test_many_scripts(scripted):
    for number in range(60):
        scripted.script(f"50-many-{number:02}", NOTE)
    scripted.set(script_thaw_timeout="5s")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=True)
    invariants.after(scripted, "thaw", scripted.hook.thaw(), consistent=True)
    assert len(calls(scripted)) == 2 * 61


def test_late_scripts_stay_within_the_hooks_budget(scripted):
    """However many are late."""
    scripted.set(freeze_timeout="2s", script_timeout="10s")
    late = scripted.budget("freeze") * 0.45
    for number in range(5):
        scripted.script(f"20-late-{number}", f"{NOTE}; trap '' TERM; sleep {late}")
    invariants.after(scripted, "freeze", scripted.hook.freeze(), consistent=False)
    time.sleep(late)            # the thaws that were late go on
    scripted.hook.thaw()
