# SPDX-License-Identifier: GPL-2.0-or-later
"""Long statements in the way of the lock: waited for, refused, or killed."""

import re
import time

import pytest

from harness.expect import failed, free
from harness.flavour import flavour
from harness.mysql_statements import (Statement, long_read, long_write, our_statements)

MYSQL = flavour().FLAVOUR == "MySQL"
# MySQL's list has whole seconds: a statement is long for sure when it shows two.
LONG = 2.1 if MYSQL else 1.1


@pytest.fixture
def guarded(house, server):
    """guarded(blockers="fail"): the house, with FTWRL as the method"""
    def make(user="quiesced", **options):
        house.app("main", server, method="ftwrl", user=user, password="secret", **options)
        house.daemon.start()
        return house
    return make


def locks(server, user="quiesced"):
    return [text for text in our_statements(server, user) if "TABLES WITH READ LOCK" in text]


def test_a_long_write_is_named_and_not_run_into(guarded, server):
    house = guarded(blockers="fail")
    statement = long_write(server).grow_older(LONG)
    try:
        answer = failed(house.hook.freeze(), "main", f"statement {statement.id} of user 'root'",
                        "running for", "in state 'User sleep'")
        assert "UPDATE" not in answer.line
        assert locks(server) == []
        assert server.can_write()
        free(house, server)
    finally:
        statement.stop()


def test_its_text_is_shown_on_request(guarded, server):
    house = guarded(blockers="fail", query_text="12")
    statement = long_write(server).grow_older(LONG)
    try:
        answer = failed(house.hook.freeze(), ": UPDATE probe...")
        assert "SLEEP(" not in answer.line
    finally:
        statement.stop()


def test_a_long_write_is_waited_for_and_stalls_nobody(guarded, server):
    house = guarded()
    statement = long_write(server, seconds=LONG + 1).grow_older(LONG)
    call = house.hook.begin("freeze")
    while statement.ended is None:
        if not server.can_write():
            statement.wait(1)           # it has ended just now
            assert statement.ended
        time.sleep(0.05)
    assert call.wait().status == 0
    assert len(locks(server)) == 1
    (app,) = house.record()["apps"]
    assert int(app["coordinates"]["longest-stall-ms"]) < 500
    assert not server.can_write()
    assert house.hook.thaw().status == 0


def test_a_long_write_that_does_not_end(guarded, server):
    house = guarded()
    house.set(hold_attempt="1s")
    statement = long_write(server).grow_older(LONG)
    try:
        failed(house.hook.freeze(), "was not tried", f"statement {statement.id} ")
        assert locks(server) == []
        free(house, server)
    finally:
        statement.stop()


def test_a_long_read_counts_on_mysql_alone(guarded, server):
    house = guarded(blockers="fail")
    statement = long_read(server).grow_older(LONG)
    try:
        answer = house.hook.freeze()
        if MYSQL:
            failed(answer, f"statement {statement.id} ", "tables blocked")
        else:
            assert answer.status == 0, answer
            assert house.hook.thaw().status == 0
        free(house, server)
    finally:
        statement.stop()


@pytest.mark.parametrize("sql", ["SELECT SLEEP(60)", "/* queue */ SELECT GET_LOCK('jobs', 60)"])
def test_waiting_without_a_table_does_not_count(guarded, server, sql):
    house = guarded(blockers="fail")
    server.connect().cursor().execute("SELECT GET_LOCK('jobs', 0)")
    statement = Statement(server, sql, state="User lock" if "LOCK" in sql else "User sleep")
    statement.grow_older(LONG)
    try:
        answer = house.hook.freeze()
        assert answer.status == 0, answer
        assert not server.can_write()
        assert house.hook.thaw().status == 0
    finally:
        statement.stop()


def test_a_young_statement_is_given_up_in_time(guarded, server):
    """It is older than long-query by the second try: that is not made any more."""
    house = guarded()
    house.set(hold_attempt="3s")
    statement = long_write(server)
    try:
        began = time.monotonic()
        call = house.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        assert server.can_write(seconds=3)
        stalled = time.monotonic() - began
        failed(call.wait(), f"statement {statement.id} of user 'root'", "stalled writers for up to")
        assert stalled < 2.5
        assert len(locks(server)) <= 2
        free(house, server)
    finally:
        statement.stop()


def test_killing_takes_a_privilege_that_is_named(guarded, server):
    house = guarded(blockers="kill")
    answer = failed(house.hook.freeze(), "lacks the privilege CONNECTION", "blockers = kill")
    server.sql(grant_of(answer.line))
    server.sql("CREATE USER app@localhost", "GRANT ALL ON probe.* TO app@localhost")
    statement = long_write(server, user="app").grow_older(LONG)
    answer = house.hook.freeze()
    assert answer.status == 0, answer
    statement.wait()
    assert statement.error.args[0] == 1317      # interrupted; its session lives
    assert statement.connection.open
    (app,) = house.record()["apps"]
    assert f"killed statement {statement.id} of user 'app'" in str(app["warnings"])
    assert house.hook.thaw().status == 0


@pytest.mark.skipif(not MYSQL, reason="MariaDB has no SYSTEM_USER")
def test_root_is_not_killed_by_others(guarded, server):
    server.sql("GRANT CONNECTION_ADMIN ON *.* TO quiesced@localhost")
    house = guarded(blockers="kill")
    statement = long_write(server).grow_older(LONG)
    try:
        failed(house.hook.freeze(), f"cannot kill statement {statement.id} of user 'root'",
               "SYSTEM_USER")
        assert server.can_write()
    finally:
        statement.stop()


def grant_of(line):
    """The statement that a message ends with."""
    return re.search(r"grant it: (GRANT .* ON \*\.\* TO '[^']*'@'[^']*')", line).group(1)


@pytest.mark.parametrize("flush", [0, 1])
def test_the_printed_grant_is_enough(guarded, server, flush):
    server.sql(f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}",
               "CREATE USER powerless@localhost IDENTIFIED BY 'secret'")
    house = guarded(user="powerless")
    answer = failed(house.hook.freeze(), "powerless", "lacks the privilege")
    server.sql(grant_of(answer.line))
    answer = house.hook.freeze()
    assert answer.status == 0, answer
    (app,) = house.record()["apps"]
    assert not app["warnings"]
    assert house.hook.thaw().status == 0


@pytest.mark.skipif(not MYSQL, reason="MariaDB's lock is bounded without it")
def test_mysql_is_not_locked_blindly(guarded, server):
    server.sql("CREATE USER blind@localhost IDENTIFIED BY 'secret'",
               "GRANT RELOAD, REPLICATION CLIENT ON *.* TO blind@localhost")
    house = guarded(user="blind")
    failed(house.hook.freeze(), "lacks the privilege PROCESS", "GRANT")
