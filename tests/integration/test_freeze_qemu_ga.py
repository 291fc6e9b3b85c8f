# SPDX-License-Identifier: GPL-2.0-or-later
"""A real qemu-ga freezes a real MariaDB on a really frozen filesystem."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from conftest import SHARED
from harness import mariadb, programs
from harness.agent import Agent, AgentError
from harness.experiment import Experiment
from harness.waiting import wait_until

pytestmark = pytest.mark.xdist_group("qemu-ga")


def run_experiment(with_hook):
    shared = Path(os.environ[SHARED])
    directory = Path(tempfile.mkdtemp(prefix="e.", dir=shared))
    directory.chmod(0o755)
    with Experiment(directory, mariadb.template(shared / "template"), with_hook) as experiment:
        return experiment.run()


@pytest.fixture(scope="module")
def held():
    """What became of a snapshot with our hook."""
    return run_experiment(with_hook=True)


@pytest.fixture(scope="module")
def unheld():
    """The same without any hook."""
    return run_experiment(with_hook=False)


def locks(outcome):
    return [session for session, statement in outcome.statements
            if "BACKUP STAGE BLOCK_COMMIT" in statement]


def test_the_filesystem_is_frozen(held):
    assert held.frozen == 1


def test_the_session_that_took_the_lock_lives_while_frozen(held):
    assert len(locks(held)) == 1
    assert locks(held)[0] in held.holders


def test_the_session_that_took_the_lock_lets_it_go(held):
    (holder,) = locks(held)
    after = [statement for session, statement in held.statements if session == holder]
    assert "BACKUP STAGE END" in after[-2:], after


def test_nothing_is_acknowledged_while_frozen(held):
    assert held.answers_while_frozen == 0


def test_all_tables_of_the_copy_are_clean(held):
    assert {kind: table.state for kind, table in held.tables.items()} == {
        kind: "clean" for kind in held.tables}


def test_no_acknowledged_row_is_missing_in_the_copy(held):
    assert {kind: table.lost for kind, table in held.tables.items()} == {
        kind: 0 for kind in held.tables}
    assert all(table.acknowledged >= 300 for table in held.tables.values())


def test_without_the_hook_myisam_tables_of_the_copy_are_not_clean(unheld):
    assert not unheld.tables["MyISAM"].clean
    assert not unheld.tables["MyISAM DELAY_KEY_WRITE"].clean
    assert unheld.tables["InnoDB"].clean


def test_the_record_in_the_copy_says_held(held):
    assert held.record_in_image["state"] == "held"
    (app,) = held.record_in_image["apps"]
    assert app["outcome"] == "held"
    assert app["server"].startswith("MariaDB ")


def test_the_record_on_the_live_disk_says_thawed(held):
    assert held.record["state"] == "thawed"
    assert held.record["cycle"] == held.record_in_image["cycle"]


@pytest.fixture
def agent(directory, house):
    """qemu-ga with our hook, in the house's environment."""
    agent = Agent(directory / "agent", programs.program("fsfreeze-hook"), house.environment())
    yield agent
    agent.close()


@pytest.fixture
def disk(new_filesystem):
    """A filesystem that may be frozen, with nothing on it."""
    return new_filesystem("disk", 16)


def test_a_failed_hook_freezes_nothing(house, server, agent, disk):
    house.app("main", server, user="quiesced", password="wrong")
    house.daemon.start()
    with pytest.raises(AgentError):
        agent.freeze(disk.mountpoint)
    assert agent.status() == "thawed"
    (disk.mountpoint / "file").write_text("not frozen")
    assert server.can_write(seconds=1)


def test_the_deadline_lets_go_when_the_agent_froze_nothing(running, server, agent, directory):
    """The agent then answers success, and no host sends a thaw."""
    running.set(hold_timeout="1s")
    assert agent.freeze(directory / "no-such-mountpoint") == 0
    assert server.can_write(seconds=10)


def test_a_thaw_with_nothing_frozen_succeeds(running, agent, server):
    assert agent.thaw() == 0
    assert server.can_write()


def test_a_new_agent_thaws_what_a_killed_one_froze(running, server, agent, disk, directory):
    assert agent.freeze(disk.mountpoint) == 1
    assert not server.can_write()
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait()
    agent.socket_path.unlink()
    successor = Agent(directory / "agent", programs.program("fsfreeze-hook"),
                      running.environment())
    try:
        assert successor.status() == "frozen"
        assert successor.thaw() == 1
        assert server.can_write(seconds=1)
        assert running.record()["state"] == "thawed"
    finally:
        successor.close()


def test_an_agent_answers_though_a_script_left_a_child(house, agent, disk):
    """The child keeps the script's stdout and stderr."""
    house.script("10-leaves-a-child", "[ $1 = freeze ] || exit 0; sleep 120 & echo $! >$D/child")
    assert agent.freeze(disk.mountpoint) == 1
    try:
        assert agent.thaw() == 1
    finally:
        child = int(wait_until((house.directory / "child").read_text, "the child's pid"))
        os.kill(child, signal.SIGKILL)
