# SPDX-License-Identifier: GPL-2.0-or-later
"""Each method of the mysql plugin: what it holds, how it is taken, and what is recorded."""

import contextlib
import time

import pytest

from harness.expect import failed, free
from harness.flavour import flavour
from harness.mysql_statements import Statement, long_write, our_statements

MYSQL = flavour().FLAVOUR == "MySQL"
METHODS = ["ftwrl"] if MYSQL else ["ftwrl", "backup-stage"]
mariadb_only = pytest.mark.skipif(MYSQL, reason="MySQL has no BACKUP STAGE")


def start(house, server, **options):
    house.app("main", server, user="quiesced", password="secret", **options)
    house.daemon.start()
    return house


def app_of(house):
    (app,) = house.record()["apps"]
    return app


def test_auto_takes_the_lighter_one_and_says_why(house, server):
    start(house, server)
    assert house.hook.freeze().status == 0
    app = app_of(house)
    assert app["method"] == METHODS[-1]
    assert app["coordinates"]["method-reason"].startswith("auto: ")
    assert house.hook.thaw().status == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_method_holds_all_writers(house, server, method):
    start(house, server, method=method)
    assert house.hook.freeze().status == 0
    assert not server.can_write()
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout = 1")
        with pytest.raises(Exception, match="1205"):
            cursor.execute("CREATE TABLE probe.other (id INT)")
    assert server.sql("SELECT COUNT(*) FROM probe.long_one") == ((1,),)
    app = app_of(house)
    assert app["method"] == method
    assert app["coordinates"]["lock-tries"] == "1"
    assert int(app["coordinates"]["longest-stall-ms"]) < 1000
    assert house.hook.thaw().status == 0
    free(house, server)


@pytest.mark.parametrize("flush", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_of_ours_stands_in_the_binary_log(house, server, method, flush):
    server.sql(f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}",
               "INSERT INTO probe.probe () VALUES ()")
    start(house, server, method=method)
    file, position = server.binlog_status()[0][:2]
    assert house.hook.freeze().status == 0
    coordinates = app_of(house)["coordinates"]
    assert house.hook.thaw().status == 0
    assert (coordinates["binlog-file"], coordinates["binlog-position"]) == (file, str(position))
    assert server.sql(f"SHOW BINLOG EVENTS IN '{file}' FROM {position}") == ()
    server.sql("INSERT INTO probe.probe () VALUES ()")
    text = str(server.sql(f"SHOW BINLOG EVENTS IN '{file}' FROM {position}"))
    assert "FLUSH" not in text and "BACKUP" not in text


def test_our_sessions_are_gone_after_the_thaw(house, server):
    start(house, server)
    assert house.hook.freeze().status == 0
    assert len(server.sessions("quiesced")) == 2        # the spare one is not needed any more
    assert house.hook.thaw().status == 0
    house.daemon.wait_for_no_worker()
    assert not server.sessions("quiesced")


def test_a_short_wait_timeout_of_the_server_does_not_end_the_hold(house, server):
    server.sql("SET GLOBAL wait_timeout = 1")
    start(house, server)
    assert house.hook.freeze().status == 0
    time.sleep(2.5)
    assert not server.can_write()
    assert house.hook.thaw().status == 0


@mariadb_only
def test_a_statement_that_moves_the_log_does_not_keep_the_freeze(house, server):
    """At innodb_flush_log_at_trx_commit = 0 what counts is the log's end under the lock."""
    server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0",
               "CREATE TABLE probe.big (id INT PRIMARY KEY, note CHAR(200))",
               "USE probe", "INSERT INTO probe.big SELECT seq, '' FROM seq_1_to_2000")
    start(house, server)
    statement = Statement(server, "UPDATE probe.big SET note = CONCAT(id, SLEEP(0.005))")
    try:
        statement.grow_older(0.5)
        answer = house.hook.freeze()
        assert answer.status == 0, answer
        assert answer.seconds < 3
        assert statement.ended is None
        assert house.hook.thaw().status == 0
    finally:
        statement.stop()


@pytest.mark.skipif(not MYSQL, reason="MariaDB has it")
def test_backup_stage_takes_mariadb(house, server):
    start(house, server, method="backup-stage")
    failed(house.hook.freeze(), "main", "takes MariaDB 10.4.1 or later", "MySQL")


@mariadb_only
def test_backup_stage_does_not_wait_for_a_long_write_in_innodb(house, server):
    start(house, server)
    statement = long_write(server).grow_older(1.2)
    try:
        answer = house.hook.freeze()
        assert answer.status == 0, answer
        assert int(app_of(house)["coordinates"]["longest-stall-ms"]) < 500
        assert house.hook.thaw().status == 0
    finally:
        statement.stop()


@mariadb_only
def test_backup_stage_waits_for_myisam_in_short_tries(house, server):
    """A long write in InnoDB beside it is not in the way of the next try."""
    start(house, server, lock_attempt="300ms")
    innocent = long_write(server).grow_older(1.2)
    statement = Statement(server, "UPDATE probe.long_one SET id = id + SLEEP(1.2)", state=None)
    try:
        server.wait_for_states("User sleep", 2)
        answer = house.hook.freeze()
        assert answer.status == 0, answer
        statement.wait(1)
        assert statement.ended and innocent.ended is None
        app = app_of(house)
        assert app["method"] == "backup-stage"
        assert int(app["coordinates"]["lock-tries"]) > 1
        assert int(app["coordinates"]["longest-stall-ms"]) < 800
        assert house.hook.thaw().status == 0
    finally:
        innocent.stop()


@mariadb_only
@pytest.mark.parametrize("stage", ["START", "BLOCK_DDL"])
def test_another_backup_is_passed_by(house, server, journal, stage):
    start(house, server)
    backup = server.connect()
    with backup.cursor() as cursor:
        cursor.execute("BACKUP STAGE START")
        if stage != "START":
            cursor.execute(f"BACKUP STAGE {stage}")
        assert house.hook.freeze().status == 0
        app = app_of(house)
        assert app["method"] == "ftwrl"
        assert "another backup" in app["coordinates"]["method-reason"]
        assert "another backup" in str(app["warnings"])
        assert not server.can_write()
        assert house.hook.thaw().status == 0
        cursor.execute("BACKUP STAGE END")


def test_a_locked_table_is_given_up_in_short_tries(house, server):
    """An idle session with LOCK TABLES is in no list of statements."""
    house.set(hold_attempt="3s")
    start(house, server, method="ftwrl", lock_attempt="300ms")
    owner = server.connect()
    with owner.cursor() as cursor:
        cursor.execute("LOCK TABLES probe.long_one WRITE")
    answer = failed(house.hook.freeze(), "was not granted in", "tries", "stalled writers for up to")
    assert answer.seconds < 4
    said = our_statements(server)
    tries = [text for text in said if "TABLES WITH READ LOCK" in text]
    kills = [text for text in said if text.startswith("KILL ")]
    assert len(tries) > 2
    assert len(kills) == len(tries)
    free(house, server)


def test_a_later_try_holds(house, server):
    house.set(hold_attempt="5s")
    start(house, server, method="ftwrl", lock_attempt="200ms")
    owner = server.connect()
    with owner.cursor() as cursor:
        cursor.execute("LOCK TABLES probe.long_one WRITE")
        call = house.hook.begin("freeze")
        server.wait_for_state(server.WAITING)
        first = server.wait_for_state(server.WAITING)
        while server.wait_for_state(server.WAITING) == first:
            pass
        cursor.execute("UNLOCK TABLES")
    assert call.wait().status == 0
    coordinates = app_of(house)["coordinates"]
    assert int(coordinates["lock-tries"]) > 1
    assert 150 < int(coordinates["longest-stall-ms"]) < 1000
    assert not server.can_write()
    assert house.hook.thaw().status == 0
    free(house, server)


def test_no_connection_is_free_at_the_freeze(house, server):
    """Others take all that is left, between prepare and freeze: a script runs there."""
    house.script("10-wait", "touch $D/here; while [ ! -e $D/go-on ]; do sleep 0.05; done")
    server.sql("SET GLOBAL max_connections = 12")
    start(house, server)
    call = house.hook.begin("freeze")
    while not (house.directory / "here").exists():
        assert call.process.poll() is None
    with contextlib.suppress(Exception):
        while True:
            server.connect()
    (house.directory / "go-on").touch()
    answer = call.wait()
    assert answer.status == 0, answer
    (house.directory / "here").unlink()
    assert house.hook.thaw().status == 0


def test_log_status_needs_its_own_privileges(house, new_server):
    if not MYSQL:
        pytest.skip("MariaDB has no log_status")
    server = new_server("main", options=["--performance-schema=ON"])
    server.sql("GRANT BACKUP_ADMIN ON *.* TO quiesced@localhost",
               "GRANT SELECT ON performance_schema.log_status TO quiesced@localhost")
    start(house, server)
    assert house.hook.freeze().status == 0
    coordinates = app_of(house)["coordinates"]
    assert int(coordinates["lsn-checkpoint"]) <= int(coordinates["lsn"])
    assert house.hook.thaw().status == 0
