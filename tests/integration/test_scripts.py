# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts, run by the real hook."""

import os
import signal
import subprocess

import pytest

from harness import programs
from harness.expect import failed, free
from harness.mariadb import LongStatement
from harness.waiting import wait_until

NOTE = 'echo "${0##*/} $1" >>$D/calls'
IGNORED = ["a~", "a.bak", "a.orig", "a.rpmnew", "a.rpmorig", "a.rpmsave", "a.sample",
           "a.dpkg-old", "a.dpkg-new", "a.dpkg-tmp", "a.dpkg-dist", "a.dpkg-bak",
           "a.dpkg-backup", "a.dpkg-remove"]


def calls(house):
    path = house.directory / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_nothing_configured_succeeds_without_any_daemon(house):
    for answer in (house.hook.freeze(), house.hook.thaw()):
        assert answer.status == 0, answer
        assert answer.output == ""


def test_freeze_goes_forwards_and_thaw_backwards(house):
    for name in ("20-b", "10-a", "B-upper", "a-lower"):
        house.script(name, NOTE)
    house.script("05-legacy", NOTE, directory="legacy")
    house.script("01-old", NOTE, directory="old-legacy")
    order = ["10-a", "20-b", "B-upper", "a-lower", "05-legacy", "01-old"]
    assert house.hook.freeze().status == 0
    assert calls(house) == [f"{name} freeze" for name in order]
    assert house.hook.thaw().status == 0
    assert calls(house)[len(order):] == [f"{name} thaw" for name in reversed(order)]


@pytest.mark.parametrize("name", IGNORED)
def test_what_the_stock_hook_ignores_is_ignored(house, name):
    house.script(name, NOTE)
    assert house.hook.freeze().status == 0
    assert calls(house) == []


def test_what_is_not_executable_is_ignored(house):
    house.script("10-plain", NOTE, mode=0o644)
    assert house.hook.freeze().status == 0
    assert calls(house) == []


def test_an_executable_runs_once_however_it_is_called(house):
    path = house.script("10-a", NOTE)
    (house.directory / "legacy" / "again").symlink_to(path)
    os.link(path, house.directory / "old-legacy" / "linked")
    assert house.hook.freeze().status == 0
    assert calls(house) == ["10-a freeze"]


def test_a_failing_script_undoes_those_before_it_and_itself(house):
    house.script("10-a", NOTE)
    house.script("20-b", f"{NOTE}; [ $1 = thaw ]")
    house.script("30-c", NOTE)
    failed(house.hook.freeze(), "20-b")
    assert calls(house) == ["10-a freeze", "20-b freeze", "20-b thaw", "10-a thaw"]


def test_a_failing_script_fails_the_apps_too(running, server):
    running.script("10-a", "[ $1 = thaw ]")
    failed(running.hook.freeze(), "10-a")
    free(running, server)
    assert running.record()["state"] == "failed"


def test_a_failing_app_undoes_the_scripts(running, server):
    running.script("10-a", NOTE)
    running.app("main", server, user="quiesced", password="wrong")
    failed(running.hook.freeze(), "main")
    assert calls(running) in ([], ["10-a freeze", "10-a thaw"])


def test_an_app_that_cannot_be_held_undoes_the_scripts(running, server):
    running.set(hold_attempt="1s")
    running.script("10-a", NOTE)
    statement = LongStatement(server)
    try:
        failed(running.hook.freeze(), "main")
    finally:
        statement.stop()
    assert calls(running) == ["10-a freeze", "10-a thaw"]


def test_scripts_run_before_the_hold_and_after_it(running, server):
    sql = f"mariadb --no-defaults -S {server.socket} -uroot -e"
    running.script("10-writes", f"{NOTE}; {sql} 'INSERT INTO probe.probe () VALUES ()'")
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    assert calls(running) == ["10-writes freeze", "10-writes thaw"]


@pytest.mark.parametrize("setting, status", [("warn", 0), ("fail", 1), ("off", 0)])
def test_a_failing_legacy_script(house, setting, status):
    house.set(legacy_scripts=setting)
    house.script("10-a", f"{NOTE}; [ $1 = thaw ]", directory="legacy")
    answer = house.hook.freeze()
    assert answer.status == status, answer
    assert (calls(house) == []) == (setting == "off")
    assert ("10-a" in answer.output) == (setting == "fail")
    if setting == "warn":
        assert "10-a" in house.log.read_text()


def test_a_late_script_is_killed_with_its_children(house):
    house.set(script_timeout="1s")
    house.script("10-slow", f"{NOTE}; [ $1 = thaw ] && exit; sleep 300 & echo $! >$D/child; wait")
    answer = failed(house.hook.freeze(), "10-slow")
    assert answer.seconds < 20
    assert calls(house) == ["10-slow freeze", "10-slow thaw"]
    child = int((house.directory / "child").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the child is dead")


def test_a_failing_thaw_script_does_not_stop_the_others(house):
    for name in ("10-a", "20-b"):
        house.script(name, f"{NOTE}; [ $1 = freeze ]")
    assert house.hook.freeze().status == 0
    answer = house.hook.thaw()
    assert answer.status > 0
    assert "20-b" in answer.output and "10-a" in answer.output
    assert calls(house)[2:] == ["20-b thaw", "10-a thaw"]


def test_a_late_thaw_script_goes_on_and_is_named(house):
    house.set(script_thaw_timeout="1s")
    house.script("10-slow", f"{NOTE}; echo $$ >$D/pid; [ $1 = freeze ] || exec sleep 300")
    house.script("20-quick", NOTE)
    assert house.hook.freeze().status == 0
    failed(house.hook.thaw(), "10-slow")
    pid = int((house.directory / "pid").read_text())
    try:
        assert os.path.exists(f"/proc/{pid}")
        failed(house.hook.freeze(), "10-slow")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_output_stands_in_the_log_and_the_journal_with_the_name(house, journal):
    house.script("10-talks", "echo out of $1; echo err of $1 >&2; printf unfinished")
    assert house.hook.freeze().status == 0
    lines = house.log.read_text().splitlines()
    for text in ("out of freeze", "err of freeze", "unfinished"):
        assert [line for line in lines if "10-talks" in line and text in line], lines
        journal.wait_for("10-talks", text)
    assert house.hook.thaw().status == 0
    assert "out of thaw" in house.log.read_text()
    journal.wait_for("10-talks", "out of thaw")


def test_the_host_is_told_the_last_line_of_a_failing_script(house):
    house.script("10-talks", "[ $1 = thaw ] || { echo first; echo 'disk full' >&2; exit 7; }")
    failed(house.hook.freeze(), "10-talks", "7", "disk full")


def test_each_problem_has_a_line(house):
    house.script("10-fails-always", "exit 1")
    answer = house.hook.freeze()
    assert answer.status == 1
    assert len(answer.output.splitlines()) == 2


def test_a_flood_of_output_does_not_hang(house):
    house.script("10-floods", "yes | head -c 3000000")
    assert house.hook.freeze().status == 0


def test_control_characters_are_replaced_in_the_log(house):
    house.script("10-colours", r"printf 'red\033[31m\007\n'")
    assert house.hook.freeze().status == 0
    assert "\x1b" not in house.log.read_text()
    assert "\x07" not in house.log.read_text()


def test_a_child_left_behind_does_not_keep_the_hook_or_its_pipe(house):
    """The agent reads the pipe to its end before it waits."""
    house.script("10-leaves", "[ $1 = thaw ] || { sleep 300 & echo $! >$D/child; }")
    answer = house.hook.freeze()
    child = int((house.directory / "child").read_text())
    try:
        assert answer.status == 0, answer
        assert answer.seconds < 10
        assert house.hook.thaw().status == 0
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_left_behind_in_a_session_of_its_own(house):
    house.script("10-leaves", "[ $1 = thaw ] || setsid sh -c 'echo $$ >$0; exec sleep 300'"
                              " $D/child &")
    answer = house.hook.freeze()
    pid_file = house.directory / "child"
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), "the child's pid")
    try:
        assert answer.status == 0, answer
        assert answer.seconds < 10
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_script_that_others_could_have_written_is_refused(house, mode):
    house.script("10-open", NOTE, mode=mode)
    house.script("20-closed", NOTE)
    house.hook.freeze()
    assert "10-open freeze" not in calls(house)
    assert "10-open" in house.log.read_text()


def test_a_directory_that_others_could_have_written_is_refused(house):
    house.script("10-a", NOTE, directory="legacy")
    (house.directory / "legacy").chmod(0o777)
    house.hook.freeze()
    assert calls(house) == []
    assert "legacy" in house.log.read_text()


def test_a_script_gets_stdin_from_nowhere_and_the_agents_environment(house):
    house.hook.environment["FROM_THE_AGENT"] = "yes"
    house.script("10-looks", 'echo "$(readlink /proc/self/fd/0) $FROM_THE_AGENT" >$D/calls')
    assert house.hook.freeze().status == 0
    assert calls(house) == ["/dev/null yes"]


@pytest.mark.parametrize("arguments", [[], ["melt"], ["freeze", "now"]])
def test_a_wrong_argument_is_refused(house, arguments):
    done = subprocess.run([programs.program("fsfreeze-hook"), *arguments], text=True,
                          env=house.hook.environment, capture_output=True, check=False)
    assert done.returncode > 0
    assert done.stderr
