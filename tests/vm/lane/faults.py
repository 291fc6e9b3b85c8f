# SPDX-License-Identifier: GPL-2.0-or-later
"""Part 3: the agent killed while frozen, a minute of frozen logs, a reset and a reboot
while held."""

import time

from .machine import Machine
from .shell import expect, say, wait_until


def can_write(machine):
    """Do both servers take a write within 20 s?"""
    return machine.try_sh(
        "timeout 20 mariadb load -e 'INSERT INTO innodb SELECT COALESCE(MAX(id), 0) + 1, 1 "
        "FROM innodb' && timeout 20 runuser -u postgres -- psql -q load -c 'INSERT INTO "
        "postgresql SELECT COALESCE(MAX(id), 0) + 1, 1 FROM postgresql'", 60)[0] == 0


def held(machine):
    return machine.try_sh("test -e /run/quiesced/marker")[0] == 0


def agent_killed(machine):
    machine.freeze()
    expect(held(machine), "nothing is held")
    before = machine.sh("pidof qemu-ga")
    machine.sh("kill -9 $(pidof qemu-ga)")
    after = wait_until(lambda: machine.try_sh("pidof qemu-ga")[1].strip(), "a new agent", 60)
    expect(after != before.strip(), "the agent was not killed")
    machine.sync_agent()
    expect(machine.agent("guest-fsfreeze-status") == "frozen", "the new agent forgot the freeze")
    expect(held(machine), "the hold went with the agent")
    machine.thaw()
    expect(not held(machine), "still held after the thaw")
    expect(can_write(machine), "no writes after the thaw")
    return "qemu-ga killed while frozen: the host's thaw, through a new agent, releases"


def frozen_for_a_minute(machine):
    machine.freeze()
    began = time.monotonic()
    entry = f"written while frozen {began:.0f}"
    writers = [machine.shell.start(f"logger -t vm-test '{entry}'; echo logged"),
               machine.shell.start(f"echo '{entry}' | systemd-cat -t vm-test")]
    slowest = 0.0
    while time.monotonic() - began < 60:
        asked = time.monotonic()
        machine.sh("quiescectl status", 30)
        machine.agent("guest-ping", 30)
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(2)
    expect(machine.sh("systemctl is-active quiesced").strip() == "active",
           "the daemon did not outlive the minute")
    machine.thaw()
    for writer in writers:
        machine.shell.finish(writer, 60)
    expect(can_write(machine), "no writes after the thaw")
    wait_until(lambda: machine.sh("journalctl -t vm-test --no-pager").count(entry) >= 2,
               "what was logged while frozen arrives", 60, 1)
    journal = machine.sh("journalctl -t fsfreeze-hook --no-pager -o cat -n 10")
    expect("the thaw hook answers success" in journal, f"the journal of the hook:\n{journal}")
    restarts = machine.sh("systemctl show -P NRestarts quiesced").strip()
    expect(restarts == "0", f"the daemon was restarted {restarts} times")
    return (f"frozen for a minute with /var/log: status and ping within {slowest:.1f} s, "
            "the journal's entries arrive")


def reset_while_held(machine):
    machine.freeze()
    expect(held(machine), "nothing is held")
    greetings = machine.shell.greeted
    machine.qmp("system_reset")
    machine.wait_for_boot(greetings + 1)
    machine.sync_agent()
    machine.wait_for_databases()
    expect(machine.agent("guest-fsfreeze-status") == "thawed", "frozen after a reset")
    expect('"held"' in machine.sh("cat /var/lib/quiesced/record.json"),
           "the record does not tell of the hold that the reset ended")
    machine.thaw()                      # what a host sends that knows of no reset
    expect(can_write(machine), "no writes after the reset")
    machine.freeze()
    machine.thaw()
    return "reset while held: thaw is answered, the record tells, the next cycle works"


def reboot_while_held(machine):
    """Held by an administrator's hand: nothing is frozen, and the guest goes down."""
    machine.sh("fsfreeze-hook freeze")
    expect(held(machine), "nothing is held")
    greetings = machine.shell.greeted
    machine.shell.start("systemctl reboot")
    machine.wait_for_boot(greetings + 1)
    machine.sync_agent()
    machine.wait_for_databases()
    said = machine.sh("journalctl -b -1 -u quiesced --no-pager -o cat -n 20")
    expect("quiesced.service: Deactivated successfully." in said and "timed out" not in said,
           f"the daemon was not stopped in time:\n{said}")
    expect('"held"' in machine.sh("cat /var/lib/quiesced/record.json"),
           "the record does not tell of the hold that the reboot ended")
    machine.thaw()
    expect(can_write(machine), "no writes after the reboot")
    return "reboot while held: the daemon stops by itself, the record tells"


def part(suite, images, directory):
    lines = []
    sources = {"root": images.root, "data": images.data}
    with Machine(directory / "faults", sources, images.kernel, images.initrd) as machine:
        machine.wait_for_databases()
        for what in (agent_killed, frozen_for_a_minute, reset_while_held,
                     reboot_while_held):
            lines.append(what(machine))
            say(f"{suite}:   {lines[-1]}")
    return lines
