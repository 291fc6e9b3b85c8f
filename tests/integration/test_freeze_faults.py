# SPDX-License-Identifier: GPL-2.0-or-later
"""A freeze that cannot be: the right status, one clear line, nothing locked after it."""

import os
import signal
import subprocess

import pytest

from harness import process, programs
from harness.expect import failed, free
from harness.mariadb import LongStatement
from harness.waiting import wait_until


def assert_failed_record(house, *words):
    record = house.record()
    assert record["state"] == "failed"
    assert all(word in str(record) for word in words), record


def test_server_down(running, server):
    server.kill()
    failed(running.hook.freeze(), "main", str(server.socket))
    free(running)
    assert_failed_record(running, "main")


def test_server_down_may_be_skipped(running, server):
    running.app("main", server, not_running="skip", user="quiesced", password="secret")
    server.kill()
    assert running.hook.freeze().status == 0
    assert running.record()["apps"][0]["outcome"] == "skipped"
    assert running.hook.thaw().status == 0


def test_wrong_password(running, server):
    running.app("main", server, user="quiesced", password="not-this-one")
    answer = failed(running.hook.freeze(), "main", "Access denied")
    assert "not-this-one" not in answer.output
    free(running, server)
    assert_failed_record(running, "Access denied")


def test_missing_privilege(running, server):
    server.sql("CREATE USER powerless@localhost IDENTIFIED BY 'secret'")
    running.app("main", server, user="powerless", password="secret")
    failed(running.hook.freeze(), "main", "lacks the privilege", "GRANT ")
    free(running, server)
    assert_failed_record(running, "lacks the privilege")


def test_long_statement_in_the_way(running, server):
    running.set(hold_attempt="1s")
    statement = LongStatement(server)
    try:
        failed(running.hook.freeze(), "main")
        free(running, server)
    finally:
        statement.stop()


def test_worker_killed_while_it_prepares(proxied, proxy, server):
    proxy.silence()
    call = proxied.hook.begin("freeze")
    assert proxy.kept_back.wait(10)
    os.kill(proxied.daemon.worker(), signal.SIGKILL)
    failed(call.wait(), "main")
    free(proxied, server)


def test_worker_killed_while_it_freezes(running, server):
    statement = LongStatement(server)
    try:
        call = running.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        os.kill(running.daemon.worker(), signal.SIGKILL)
        failed(call.wait(), "main")
        free(running, server)
    finally:
        statement.stop()


def test_server_killed_while_the_worker_prepares(proxied, proxy, server):
    proxy.silence()
    call = proxied.hook.begin("freeze")
    assert proxy.kept_back.wait(10)
    server.kill()
    failed(call.wait(), "main")
    free(proxied)


def test_server_that_never_answers(proxied, proxy, server):
    proxied.set(freeze_timeout="3s")
    proxy.silence()
    answer = failed(proxied.hook.freeze(), "main")
    assert answer.seconds < 3
    free(proxied, server)


def test_hook_killed_while_apps_prepare(proxied, proxy, server):
    proxy.silence()
    call = proxied.hook.begin("freeze")
    assert proxy.kept_back.wait(10)
    call.kill()
    free(proxied, server)
    proxy.resume()
    assert proxied.hook.freeze().status == 0
    assert proxied.hook.thaw().status == 0


def test_hook_killed_while_apps_freeze(running, server):
    statement = LongStatement(server)
    try:
        call = running.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        call.kill()
        free(running, server)
    finally:
        statement.stop()


def test_hook_killed_between_freeze_and_commit(running, server, new_filesystem):
    """A frozen state directory keeps the hook there for a while."""
    disk = new_filesystem("state-disk", 16)
    running.hook.environment["QUIESCED_STATE_DIR"] = str(disk.mountpoint / "state")
    (disk.mountpoint / "state").mkdir()
    disk.freeze()
    try:
        call = running.hook.begin("freeze")
        running.daemon.wait_for_state("frozen")
        call.kill()
        free(running, server)
    finally:
        disk.thaw()


def test_connection_closed_between_freeze_and_commit(running, server):
    client = running.daemon.client()
    client.prepare()
    client.freeze()
    assert not server.can_write()
    client.close()
    free(running, server)


def test_hook_killed_while_a_script_runs(running, server):
    """Its next call runs the script's thaw."""
    running.script("10-slow", """
        echo $1 >>$D/calls
        [ $1 = thaw ] || exec sleep 120""")
    call = running.hook.begin("freeze")
    calls = running.directory / "calls"
    wait_until(lambda: calls.exists() and calls.read_text() == "freeze\n", "the script runs")
    call.kill()
    free(running, server)
    assert running.hook.thaw().status == 0
    assert calls.read_text() == "freeze\nthaw\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_hook_told_to_end_while_apps_prepare(proxied, proxy, server, number):
    proxy.silence()
    call = proxied.hook.begin("freeze")
    assert proxy.kept_back.wait(10)
    call.signal(number)
    failed(call.wait())
    free(proxied, server)


def test_hook_told_to_end_while_apps_freeze(running, server):
    statement = LongStatement(server)
    try:
        call = running.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        call.signal(signal.SIGTERM)
        failed(call.wait())
        free(running, server)
    finally:
        statement.stop()


def test_hook_told_to_end_while_a_script_runs(running, server):
    running.script("10-slow", """
        echo $1 >>$D/calls
        [ $1 = thaw ] || exec sleep 120""")
    call = running.hook.begin("freeze")
    calls = running.directory / "calls"
    wait_until(lambda: calls.exists() and calls.read_text() == "freeze\n", "the script runs")
    call.signal(signal.SIGTERM)
    failed(call.wait())
    assert calls.read_text() == "freeze\nthaw\n"
    free(running, server)


def test_daemon_not_running(house, server):
    house.app("main", server, user="quiesced", password="secret")
    failed(house.hook.freeze(), "systemctl start quiesced")
    free(house, server)
    assert_failed_record(house)


def test_daemon_killed_while_apps_prepare(proxied, proxy, server):
    proxy.silence()
    call = proxied.hook.begin("freeze")
    assert proxy.kept_back.wait(10)
    proxied.daemon.kill()
    failed(call.wait())
    assert server.can_write(seconds=1)


def test_daemon_killed_while_apps_freeze(running, server):
    statement = LongStatement(server)
    try:
        call = running.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        running.daemon.kill()
        failed(call.wait())
        assert server.can_write(seconds=1)
    finally:
        statement.stop()


# the least share of the time that is left, and its least length
@pytest.mark.parametrize("timeout", [2, 4])
def test_daemon_that_never_answers(running, server, timeout):
    running.set(freeze_timeout=f"{timeout}s")
    process.stop(running.daemon.process.pid)
    answer = running.hook.freeze()
    assert answer.status > 0
    assert answer.output.startswith("quiesced: quiesced has not answered Prepare in time\n")
    assert answer.seconds < timeout
    process.go_on(running.daemon.process.pid)
    free(running, server)


def test_a_broken_file_is_a_required_app_that_failed(running, server):
    broken = running.config / "apps.d" / "other.conf"
    broken.write_text("[app]\nplugin = mysql\npolcy = optional\n")
    failed(running.hook.freeze(), "other.conf", "polcy")
    free(running, server)


def test_a_file_that_others_could_have_written_is_refused(running, server):
    (running.config / "apps.d" / "main.conf").chmod(0o660)
    failed(running.hook.freeze(), "main")
    free(running, server)


def test_a_secret_that_others_can_read_is_refused(running, server):
    (running.config / "apps.d" / "main.conf").chmod(0o644)
    failed(running.hook.freeze(), "main")
    free(running, server)


def test_retry_after_repeats_the_first_reason(running, server):
    running.set(hold_attempt="1s", retry_after="1min")
    statement = LongStatement(server)
    try:
        first = failed(running.hook.freeze(), "main")
    finally:
        statement.stop()
    reason = running.daemon.status()["last_failure"]
    assert reason
    second = failed(running.hook.freeze(), reason)
    assert second.seconds < 1 + first.seconds
    subprocess.run([programs.program("quiescectl"), "reset"], env=running.hook.environment,
                   check=True, capture_output=True)
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
