# SPDX-License-Identifier: GPL-2.0-or-later
"""A MariaDB and a PostgreSQL in one cycle, and one of them fails in each phase."""

import os
import signal

import pytest

from harness import process
from harness.expect import failed
from harness.mariadb import LongStatement
from harness.postgresql import configure


@pytest.fixture
def both(house, server, postgresql):
    """The house with `server` as its app my and `postgresql` as its app pg."""
    house.app("my", server, user="quiesced", password="secret")
    configure(house, postgresql, name="pg")
    house.daemon.start()
    return house


def apps(house):
    return {app["name"]: app for app in house.record()["apps"]}


def assert_free(house, server, postgresql):
    if server.process is not None:
        assert server.can_write(seconds=1)
    if postgresql.process is not None:
        postgresql.wait_for_no_session()
    house.daemon.wait_for_no_worker()
    assert not house.marker.exists()


def test_both_are_held(both, server, postgresql):
    assert both.hook.freeze().status == 0
    assert not server.can_write()
    assert postgresql.sessions()
    found = apps(both)
    assert {name: app["method"] for name, app in found.items()} == {"my": "backup-stage",
                                                                    "pg": "witness"}
    assert both.hook.thaw().status == 0
    assert_free(both, server, postgresql)


# in prepare


def test_postgresql_is_down(both, server, postgresql):
    postgresql.stop()
    failed(both.hook.freeze(), "pg")
    assert_free(both, server, postgresql)


def test_mariadb_is_down(both, server, postgresql):
    server.kill()
    failed(both.hook.freeze(), "my")
    assert_free(both, server, postgresql)


def test_the_checkpoint_of_a_required_one_is_late(both, server, postgresql):
    """MariaDB has not been asked for its lock meanwhile."""
    configure(both, postgresql, name="pg", checkpoint="required")
    both.set(freeze_timeout="3s")
    with postgresql.stopped("checkpointer"):
        failed(both.hook.freeze(), "pg", "CHECKPOINT")
        assert_free(both, server, postgresql)
    assert not [statement for _, statement in server.statements()
                if "BACKUP STAGE" in statement]


# in freeze


def test_mariadb_cannot_be_locked(both, server, postgresql):
    both.set(hold_attempt="1s")
    statement = LongStatement(server)
    try:
        failed(both.hook.freeze(), "my")
        assert_free(both, server, postgresql)
    finally:
        statement.stop()


def test_the_session_with_postgresql_is_lost_before_its_freeze(both, server, postgresql):
    """A script runs between prepare and freeze."""
    both.script("10-end-it", f"""
        [ $1 = freeze ] || exit 0
        kill -QUIT {postgresql.process.pid}
        while [ -e {postgresql.datadir}/postmaster.pid ]; do sleep 0.01; done""")
    failed(both.hook.freeze(), "pg")
    postgresql.stop()
    assert_free(both, server, postgresql)


# while held, and in thaw


def test_postgresql_is_lost(both, server, postgresql):
    assert both.hook.freeze().status == 0
    postgresql.crash()
    assert not server.can_write()
    failed(both.hook.thaw(), "pg")
    assert apps(both)["my"]["outcome"] == "held"
    assert apps(both)["pg"]["outcome"] == "lost"
    assert_free(both, server, postgresql)


def test_mariadb_is_lost(both, server, postgresql):
    assert both.hook.freeze().status == 0
    os.kill(both.daemon.worker("my"), signal.SIGKILL)
    assert server.can_write(seconds=1)
    assert postgresql.sessions()
    failed(both.hook.thaw(), "my")
    assert apps(both)["pg"]["outcome"] == "held"
    assert_free(both, server, postgresql)


def test_postgresql_does_not_answer_the_thaw(both, server, postgresql):
    """MariaDB is let go all the same, and at once."""
    both.set(thaw_timeout="1s")
    assert both.hook.freeze().status == 0
    pid = postgresql.sessions()[0][0]
    try:
        process.stop(pid)
        call = both.hook.begin("thaw")
        assert server.can_write(seconds=1)
        failed(call.wait(), "pg", "no answer in time")
    finally:
        process.go_on(pid)
    assert_free(both, server, postgresql)
