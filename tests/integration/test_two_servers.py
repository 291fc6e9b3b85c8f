# SPDX-License-Identifier: GPL-2.0-or-later
"""Two servers in one cycle."""

import os
import signal

import pytest

from harness.expect import failed, free
from harness.mariadb import LongStatement


@pytest.fixture
def servers(new_server):
    return new_server("first"), new_server("second")


@pytest.fixture
def both(house, servers):
    """The house with both servers as required apps."""
    for server in servers:
        house.app(server.name, server, user="quiesced", password="secret")
    house.daemon.start()
    return house


@pytest.fixture
def one_optional(both, servers):
    _, second = servers
    both.app("second", second, policy="optional", user="quiesced", password="secret")
    return both


def apps(record):
    return {app["name"]: app for app in record["apps"]}


def test_both_are_held(both, servers):
    assert both.hook.freeze().status == 0
    assert [server.can_write() for server in servers] == [False, False]
    assert both.hook.thaw().status == 0
    free(both, *servers)


def test_a_required_one_that_cannot_be_reached_frees_the_other(both, servers):
    first, second = servers
    second.kill()
    failed(both.hook.freeze(), "second")
    assert first.can_write()
    free(both, first)


def test_a_required_one_that_cannot_be_locked_frees_the_other(both, servers):
    """Before the hook answers: nothing waits here."""
    first, second = servers
    both.set(hold_attempt="1s")
    statement = LongStatement(second)
    try:
        failed(both.hook.freeze(), "second")
        assert first.can_write()
        free(both, *servers)
    finally:
        statement.stop()
    assert apps(both.record())["second"]["outcome"] == "failed"


def test_an_optional_one_that_cannot_be_reached_is_told(one_optional, servers, journal):
    first, second = servers
    second.kill()
    answer = one_optional.hook.freeze()
    assert answer.status == 0, answer
    assert not first.can_write()
    record = apps(one_optional.record())
    assert record["first"]["outcome"] == "held"
    assert record["second"]["outcome"] == "failed"
    assert record["second"]["error"]
    assert "second" in one_optional.log.read_text()
    journal.wait_for("second")
    assert one_optional.hook.thaw().status == 0
    free(one_optional, first)


def test_an_optional_one_that_cannot_be_locked_is_told(one_optional, servers):
    first, second = servers
    one_optional.set(hold_attempt="2s")
    statement = LongStatement(second)
    try:
        assert one_optional.hook.freeze().status == 0
        assert apps(one_optional.record())["second"]["outcome"] == "failed"
        assert second.can_write(seconds=1)
        assert one_optional.hook.thaw().status == 0
        free(one_optional, *servers)
    finally:
        statement.stop()


def test_one_that_is_lost_changes_nothing_for_the_other(both, servers):
    first, second = servers
    assert both.hook.freeze().status == 0
    os.kill(both.daemon.worker("second"), signal.SIGKILL)
    assert second.can_write(seconds=1)
    assert not first.can_write()
    failed(both.hook.thaw(), "second")
    free(both, *servers)
    record = apps(both.record())
    assert record["first"]["outcome"] == "held"
    assert record["second"]["outcome"] == "lost"
    assert record["second"]["lost_at"]


def test_an_optional_one_that_is_lost_is_told_and_does_not_fail(one_optional, servers):
    assert one_optional.hook.freeze().status == 0
    os.kill(one_optional.daemon.worker("second"), signal.SIGKILL)
    assert servers[1].can_write(seconds=1)
    assert one_optional.hook.thaw().status == 0
    record = one_optional.record()
    assert record["consistent"] is True
    assert apps(record)["second"]["outcome"] == "lost"
    assert "second" in one_optional.log.read_text()
