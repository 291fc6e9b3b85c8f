# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL that cannot be held, and a hold of it that is lost."""

import contextlib
import os
import signal
import socket

import psycopg2
import pytest

from harness import process
from harness.expect import failed, free
from harness.postgresql import configure, standby_of
from harness.proxy import Proxy
from harness.waiting import wait_until

SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def held(running_pg, postgresql):
    """The house after a freeze."""
    answer = running_pg.hook.freeze()
    assert answer.status == 0, answer
    assert postgresql.sessions()
    return running_pg


@pytest.fixture
def pg_proxy(directory, postgresql):
    (directory / "proxy").mkdir()
    proxy = Proxy(directory / "proxy" / SOCKET, postgresql.directory / SOCKET)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied_pg(house, postgresql, pg_proxy):
    """The house with its app main behind `pg_proxy`, and its daemon."""
    configure(house, postgresql, conninfo=postgresql.conninfo(host=pg_proxy.path.parent))
    house.daemon.start()
    return house


def assert_lost(house, *words):
    failed(house.hook.thaw(), "main", *words)
    record = house.record()
    assert record["state"] == "thawed"
    assert record["consistent"] is False
    free(house)
    assert house.hook.thaw().status == 0


# a freeze that cannot be


def test_server_down(running_pg, postgresql):
    postgresql.stop()
    failed(running_pg.hook.freeze(), "main", str(postgresql.directory), "No such file")
    free(running_pg)
    assert running_pg.record()["state"] == "failed"


def test_server_crashed(running_pg, postgresql):
    postgresql.crash()
    failed(running_pg.hook.freeze(), "main", "Connection refused")


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_server_down_may_be_skipped(running_pg, postgresql, end):
    configure(running_pg, postgresql, not_running="skip")
    getattr(postgresql, end)()
    assert running_pg.hook.freeze().status == 0
    assert running_pg.record()["apps"][0]["outcome"] == "skipped"
    assert running_pg.hook.thaw().status == 0


def test_a_server_that_starts_up_is_no_stopped_one(running_pg, postgresql):
    """A standby that lets nobody in."""
    configure(running_pg, postgresql, not_running="skip")
    postgresql.stop(signal.SIGINT)
    (postgresql.datadir / "standby.signal").touch()
    postgresql.settings["hot_standby"] = "off"
    postgresql.spawn()
    wait_until((postgresql.directory / SOCKET).exists, "the socket is there")
    wait_until(lambda: "standby mode" in postgresql.log.read_text(), "it is a standby")
    failed(running_pg.hook.freeze(), "main", "the database system is")


def test_a_server_that_refuses_us_is_no_stopped_one(house, new_postgresql):
    """localhost may be two addresses, and nobody listens at the other one."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free_port:
        port = free_port.getsockname()[1]
    server = new_postgresql("pg", listen_addresses="127.0.0.1", port=port)
    configure(house, server, conninfo=f"host=localhost port={port} user=quiesced",
              password="not this one", not_running="skip")
    house.daemon.start()
    failed(house.hook.freeze(), "main", "password authentication failed")
    server.stop()
    assert house.hook.freeze().status == 0
    assert house.record()["apps"][0]["outcome"] == "skipped"


def test_no_such_role(running_pg, postgresql):
    configure(running_pg, postgresql, conninfo=postgresql.conninfo(user="nobody"))
    failed(running_pg.hook.freeze(), "main", 'role "nobody" does not exist',
           "quiesced-postgresql(5)")


def test_no_session_is_free(running_pg, postgresql):
    sessions = []
    with pytest.raises(psycopg2.OperationalError, match="too many clients"):
        while True:
            sessions.append(postgresql.connect())
    failed(running_pg.hook.freeze(), "main", "too many clients")


def test_server_that_never_answers(proxied_pg, pg_proxy, postgresql):
    proxied_pg.set(freeze_timeout="3s")
    pg_proxy.silence()
    answer = failed(proxied_pg.hook.freeze(), "main", "no answer in time")
    assert answer.seconds < 3
    free(proxied_pg)
    pg_proxy.resume()
    assert proxied_pg.hook.freeze().status == 0
    assert proxied_pg.hook.thaw().status == 0


def test_server_that_stops_to_answer_amid_prepare(running_pg, postgresql):
    """All of it: not even a request to cancel is heard."""
    running_pg.set(freeze_timeout="6s")
    pids = [postgresql.process.pid]
    with postgresql.stopped("checkpointer"):
        call = running_pg.hook.begin("freeze")
        wait_until(lambda: any("CHECKPOINT" == row[2] for row in postgresql.sessions()),
                   "the checkpoint runs")
        pids += [row[0] for row in postgresql.sessions()]
        try:
            for pid in pids:
                process.stop(pid)
            answer = failed(call.wait(), "main", "no answer in time")
        finally:
            for pid in pids:
                process.go_on(pid)
    assert answer.seconds < 6
    postgresql.wait_for_no_session()
    running_pg.daemon.wait_for_no_worker()


@pytest.mark.parametrize("who", ["worker", "hook", "daemon"])
def test_killed_while_it_prepares(running_pg, postgresql, who):
    with postgresql.stopped("checkpointer"):
        call = running_pg.hook.begin("freeze")
        wait_until(lambda: any("CHECKPOINT" == row[2] for row in postgresql.sessions()),
                   "the checkpoint runs")
        if who == "hook":
            call.kill()
        elif who == "daemon":
            running_pg.daemon.kill()
            failed(call.wait())
        else:
            os.kill(running_pg.daemon.worker(), signal.SIGKILL)
            failed(call.wait(), "main")
        # a server before 14 does not look for its client while it waits: its own limit
        postgresql.wait_for_no_session(seconds=2 if postgresql.major >= 14 else 20)


# a hold that is lost


def test_session_ended(held, postgresql, journal):
    (session,) = postgresql.sessions()
    postgresql.sql(f"SELECT pg_terminate_backend({session[0]})")
    journal.wait_for("main", "lost", "terminating connection due to administrator command")
    assert_lost(held, "terminating connection due to administrator command")


def test_server_crashes_and_recovers(held, postgresql, journal):
    """One backend is killed: the server ends all of them and recovers."""
    os.kill(postgresql.connect().info.backend_pid, signal.SIGKILL)
    journal.wait_for("main", "lost")
    wait_until(postgresql._ready, "the server is back")
    assert_lost(held)


def test_server_killed(held, postgresql):
    postgresql.crash()
    assert_lost(held)


def test_server_restarted(held, postgresql, journal):
    postgresql.stop(signal.SIGINT)
    postgresql.start()
    journal.wait_for("main", "lost", "terminating connection")
    assert_lost(held)


def test_standby_promoted(house, postgresql, directory):
    standby = standby_of(postgresql, directory)
    try:
        configure(house, standby)
        house.daemon.start()
        assert house.hook.freeze().status == 0
        assert standby.value("pg_promote()")
        assert_lost(house, "promoted", "timeline was 1 and is 2")
    finally:
        standby.close()


def test_server_that_does_not_answer_the_thaw(proxied_pg, pg_proxy, postgresql):
    proxied_pg.set(thaw_timeout="1s")
    assert proxied_pg.hook.freeze().status == 0
    pg_proxy.silence()
    answer = failed(proxied_pg.hook.thaw(), "main", "no answer in time")
    assert answer.seconds < 2
    postgresql.wait_for_no_session()


def test_worker_killed(held, postgresql):
    os.kill(held.daemon.worker(), signal.SIGKILL)
    postgresql.wait_for_no_session()
    assert_lost(held)


def test_no_thaw_within_the_hold_deadline(running_pg, postgresql):
    running_pg.set(hold_timeout="1s")
    assert running_pg.hook.freeze().status == 0
    postgresql.wait_for_no_session(seconds=5)
    assert_lost(running_pg)
