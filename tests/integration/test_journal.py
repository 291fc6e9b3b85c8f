# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal gets: events with their ids, and fields to search by."""

import os
import re
import signal

from harness.waiting import wait_until

HEADER = os.path.join(os.path.dirname(__file__), "../../src/common/message_ids.h")


def ids():
    text = open(HEADER, encoding="utf-8").read()
    return {key: name for name, key in re.findall(r"#define MESSAGE_ID_(\w+)\s+\"(\w+)\"", text)}


def events(journal):
    """The entries that are events, as (name, phase, app, result)."""
    names = ids()
    return [(names[entry["MESSAGE_ID"]], entry.get("QUIESCED_PHASE"),
             entry.get("QUIESCED_APP"), entry.get("QUIESCED_RESULT"))
            for entry in list(journal.entries) if "MESSAGE_ID" in entry]


def test_a_good_cycle(running, journal):
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    journal.wait_for("the thaw hook answers success")
    told = [event for event in events(journal) if event[0] not in ("WORKER_SAYS", "WARNING")]
    assert told == [
        ("APP_HELD", "freeze", "main", "held"),
        ("HELD", "freeze", None, "held"),
        ("HOOK_FROZE", "freeze", None, "ok"),
        ("CONSISTENT", "thaw", None, "consistent"),
        ("HOOK_THAWED", "thaw", None, "ok"),
    ]


def test_each_event_names_its_cycle_and_its_time(running, journal):
    assert running.hook.freeze().status == 0
    assert running.hook.thaw().status == 0
    journal.wait_for("the thaw hook answers success")
    entries = [entry for entry in list(journal.entries) if "QUIESCED_RESULT" in entry]
    assert {entry["QUIESCED_CYCLE"] for entry in entries} == {running.record()["cycle"]}
    for entry in entries:
        assert 0 < int(entry["QUIESCED_USEC"]) < 20_000_000, entry


def test_a_lost_hold_names_its_app(running, journal):
    assert running.hook.freeze().status == 0
    os.kill(running.daemon.worker(), signal.SIGKILL)
    wait_until(lambda: ("APP_LOST", "hold", "main", "lost") in events(journal), "APP_LOST")
    assert running.hook.thaw().status == 1
    journal.wait_for("the thaw hook answers failure")
    told = events(journal)
    assert ("NOT_CONSISTENT", "thaw", None, "not-consistent") in told
    assert ("HOOK_FAILED", "thaw", "main", "failed") in told
    assert ("HOOK_THAWED", "thaw", None, "failed") in told


def test_a_failed_freeze(running, server, journal):
    server.kill()
    assert running.hook.freeze().status == 1
    journal.wait_for("the freeze hook answers failure")
    told = events(journal)
    assert ("FREEZE_FAILED", "freeze", None, "failed") in told
    assert ("HOOK_FROZE", "freeze", None, "failed") in told


def test_a_configuration_that_cannot_be_read(running, journal):
    (running.config / "apps.d" / "broken.conf").write_text("[app]\n")
    assert running.hook.freeze().status == 1
    entry = journal.wait_for("the freeze failed", "broken")
    assert ids()[entry["MESSAGE_ID"]] == "FREEZE_FAILED"
