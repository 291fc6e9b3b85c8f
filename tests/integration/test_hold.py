# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hold is, without a frozen filesystem in between: hook freeze, hook thaw."""

import threading
import time

import pytest

from harness.writers import Writers


@pytest.fixture
def writers(server):
    writers = Writers(server)
    yield writers
    writers.stop()


def test_both_calls_succeed_and_say_nothing(running):
    for answer in (running.hook.freeze(), running.hook.thaw()):
        assert answer.status == 0, answer
        assert answer.output == ""


def test_an_insert_of_another_session_waits_until_the_thaw(running, server):
    assert running.hook.freeze().status == 0
    done = threading.Event()

    def insert():
        server.sql("INSERT INTO probe.probe () VALUES ()")
        done.set()

    thread = threading.Thread(target=insert, daemon=True)
    thread.start()
    server.wait_for_state(server.WAITING)
    assert not done.is_set()
    assert running.hook.thaw().status == 0
    assert done.wait(timeout=1)
    thread.join()


def test_no_statement_commits_between_freeze_and_thaw(running, server, writers):
    writers.wait_for_rows(20)
    assert running.hook.freeze().status == 0
    frozen = time.monotonic()
    before = server.binlog_status()
    server.wait_for_state(server.WAITING)
    assert server.binlog_status() == before
    thaw = time.monotonic()
    assert running.hook.thaw().status == 0
    writers.wait_for_rows(5, after=thaw)
    assert writers.count_between(frozen, thaw) == 0


def test_reading_goes_on_while_held(running, server):
    assert running.hook.freeze().status == 0
    assert server.sql("SELECT COUNT(*) FROM probe.long_one") == ((1,),)
    assert running.hook.thaw().status == 0


def test_writers_go_on_after_the_thaw(running, server):
    assert running.hook.freeze().status == 0
    assert not server.can_write()
    assert running.hook.thaw().status == 0
    assert server.can_write(seconds=1)


def test_nothing_of_ours_enters_the_binary_log(running, server):
    before = server.binlog_status()
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    assert server.binlog_status() == before


def test_nothing_of_ours_is_left_after_the_thaw(running, server):
    assert running.hook.freeze().status == 0
    assert running.marker.exists()
    assert running.hook.thaw().status == 0
    assert not running.marker.exists()
    running.daemon.wait_for_no_worker()
    assert running.daemon.status()["state"] == "idle"


def test_a_user_known_by_its_socket_needs_no_password(house, server):
    if server.FLAVOUR == "MySQL":
        server.sql("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
    server.sql(f"CREATE USER nobody@localhost {server.BY_SOCKET}",
               f"GRANT {server.PRIVILEGES} ON *.* TO nobody@localhost")
    house.app("main", server, user="nobody")
    house.daemon.start()
    assert house.hook.freeze().status == 0
    assert not server.can_write()
    assert house.hook.thaw().status == 0


def test_an_open_transaction_does_not_stop_the_hold(running, server):
    session = server.connect()
    with session.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO probe.probe () VALUES ()")
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    session.commit()


def test_cycles_follow_each_other(running, server):
    for _ in range(3):
        assert running.hook.freeze().status == 0
        assert not server.can_write()
        assert running.hook.thaw().status == 0
        assert server.can_write(seconds=1)


def test_the_password_stands_nowhere(running, server, journal):
    """Neither in an argument, an environment, a log nor a record."""
    assert running.hook.freeze().status == 0
    process = f"/proc/{running.daemon.worker()}"
    seen = [open(f"{process}/cmdline").read(), open(f"{process}/environ").read()]
    assert running.hook.thaw().status == 0
    seen += [running.log.read_text(), (running.state / "record.json").read_text(),
             running.daemon.log.read_text(), *map(str, journal.entries)]
    assert not [text for text in seen if "secret" in text]
