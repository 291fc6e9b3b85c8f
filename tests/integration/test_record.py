# SPDX-License-Identifier: GPL-2.0-or-later
"""The record that a cycle leaves on disk."""

import os
from pathlib import Path

from harness.expect import failed


def test_a_freeze_writes_what_is_held(running, server):
    file, position = server.binlog_status()[0][:2]
    gtid = server.sql("SELECT @@global.gtid_binlog_pos")[0][0]
    assert running.hook.freeze().status == 0
    record = running.record()
    assert record["state"] == "held"
    assert record["boot_id"].replace("-", "") == Path(
        "/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    assert len(record["cycle"]) == 32
    (app,) = record["apps"]
    assert app["name"] == "main"
    assert app["policy"] == "required"
    assert app["outcome"] == "held"
    assert app["method"] == "backup-stage"
    assert server.FLAVOUR in app["server"]
    values = app["coordinates"].values()
    assert file in values and str(position) in values and gtid in values
    assert running.hook.thaw().status == 0


def test_a_thaw_adds_the_verdict(running):
    assert running.hook.freeze().status == 0
    cycle = running.record()["cycle"]
    assert running.hook.thaw().status == 0
    record = running.record()
    assert (record["state"], record["cycle"]) == ("thawed", cycle)
    assert record["consistent"] is True
    assert record["apps"][0]["coordinates"]


def test_a_failed_freeze_replaces_an_older_success(running, server):
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    first = running.record()
    running.app("main", server, user="quiesced", password="wrong")
    answer = failed(running.hook.freeze(), "Access denied")
    record = running.record()
    assert record["state"] == "failed"
    assert "Access denied" in str(record)
    assert answer.line
    assert running.record("previous.json") == first


def test_only_root_can_write_it(running):
    assert running.hook.freeze().status == 0
    for path in (running.state, running.state / "record.json"):
        status = os.stat(path)
        assert status.st_uid == 0
        assert status.st_mode & 0o022 == 0
    assert running.hook.thaw().status == 0


def test_no_temporary_file_is_left(running):
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    assert {path.name for path in running.state.iterdir()} <= {"record.json", "previous.json"}


def test_a_record_that_cannot_be_written_is_a_warning(running, server):
    running.hook.environment["QUIESCED_STATE_DIR"] = "/proc/no-such-directory"
    answer = running.hook.freeze()
    assert answer.status == 0, answer
    assert not server.can_write()
    assert "record" in running.log.read_text()
    assert running.hook.thaw().status == 0


def test_a_state_directory_that_does_not_answer_does_not_hang(running, server, new_filesystem):
    """A frozen one: whoever writes there waits, and no signal helps."""
    disk = new_filesystem("state-disk", 16)
    (disk.mountpoint / "state").mkdir()
    running.hook.environment["QUIESCED_STATE_DIR"] = str(disk.mountpoint / "state")
    disk.freeze()
    try:
        answer = running.hook.freeze()
        assert answer.status == 0, answer
        assert answer.seconds < 20
        assert not server.can_write()
        answer = running.hook.thaw()
        assert answer.status == 0, answer
        assert answer.seconds < 15
        assert server.can_write(seconds=1)
    finally:
        disk.thaw()
