# SPDX-License-Identifier: GPL-2.0-or-later
"""Part 1: a snapshot of two disks under a write load, booted again."""

import json
import time

from .machine import Machine, was_frozen
from .shell import expect, say, wait_until

TABLES = ("innodb", "myisam", "aria", "postgresql")
ROWS = 20   # of each table, before a snapshot means anything

# databases are looked at before a server may touch them
UNTOUCHED = "vm.untouched"

MYISAM = "myisamchk --silent --check /var/lib/mysql/load/myisam.MYI"
ARIA = ("cd /run && aria_chk --silent --check --datadir=/var/lib/mysql "
        "/var/lib/mysql/load/aria.MAI")


def take(machine):
    """As a host does it. The images, the last acknowledged rows, how long it took."""
    began = time.monotonic()
    machine.freeze()
    frozen = time.monotonic()
    images = machine.snapshot()
    acknowledged = machine.acknowledged()
    taken = time.monotonic()
    machine.thaw()
    thawed = time.monotonic()
    return images, acknowledged, (f"freeze {frozen - began:.2f} s, snapshot "
                                  f"{taken - frozen:.2f} s, thaw {thawed - taken:.2f} s")


def under_load(machine):
    """A snapshot with our hook, and one without it, under the same load."""
    machine.wait_for_databases()
    machine.shell.start("vm-load")
    wait_for_rows(machine, ROWS)
    ours = take(machine)
    wait_for_rows(machine, ROWS, ours[1])       # the writers go on
    machine.sh("mkdir -p /run/systemd/system/qemu-guest-agent.service.d && "
               "printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/qemu-ga\\n' "
               ">/run/systemd/system/qemu-guest-agent.service.d/99-none.conf && "
               "systemctl daemon-reload && systemctl restart qemu-guest-agent")
    machine.sync_agent()
    theirs = take(machine)
    machine.sh("rm /run/systemd/system/qemu-guest-agent.service.d/99-none.conf; "
               "systemctl daemon-reload; systemctl restart qemu-guest-agent; "
               "pkill -x vm-load; true")
    machine.sync_agent()
    return ours, theirs


def wait_for_rows(machine, rows, since=None):
    since = since or {}
    wait_until(lambda: all(machine.acknowledged().get(table, 0) >= since.get(table, 0) + rows
                           for table in TABLES), f"{rows} rows in each table", 120)


def look(directory, images, kernel, initrd, acknowledged=None):
    """What is in a snapshot, and whether what was acknowledged is: a dictionary."""
    directory.mkdir(parents=True, exist_ok=True)
    found = {"frozen": was_frozen(images["root"], directory)}
    with Machine(directory / "snapshot", images, kernel, initrd, UNTOUCHED) as machine:
        found["record"] = json.loads(machine.sh("cat /var/lib/quiesced/record.json || echo {}"))
        found["myisam"] = machine.try_sh(MYISAM)
        found["aria"] = machine.try_sh(ARIA)
        found["binlog size"] = machine.sh(
            "stat -c '%n %s' /var/lib/mysql/binlog.0*[0-9] | sed 's,.*/,,' | tail -n 1").split()
        if acknowledged is None:
            return found
        machine.sh("rm /etc/systemd/system/*.service.d/vm.conf; systemctl daemon-reload; "
                   "systemctl start mariadb postgresql@$(ls /etc/postgresql)-main", 240)
        machine.wait_for_databases()
        for table in TABLES[:3]:
            found[f"check {table}"] = machine.sh(
                f"mariadb -BN -e 'CHECK TABLE load.{table}'").strip()
            found[f"rows {table}"] = machine.sh(
                f"mariadb -BN -e 'SELECT MAX(id), COUNT(*) FROM load.{table}' 2>&1; true"
            ).strip()
        found["rows postgresql"] = machine.sh(
            "runuser -u postgres -- psql -qAtF ' ' load -c "
            "'SELECT MAX(id), COUNT(*) FROM postgresql'").strip()
    found["lost"] = {}
    for table in TABLES:
        numbers = found[f"rows {table}"].split()
        last = int(numbers[0]) if len(numbers) == 2 and numbers[0].isdigit() else None
        complete = last is not None and last == int(numbers[1])
        found["lost"][table] = (None if not complete else
                                max(0, acknowledged.get(table, 0) - last))
    return found


def part(suite, images, directory):
    """The lines of the summary."""
    sources = {"root": images.root, "data": images.data}
    with Machine(directory / "load", sources, images.kernel, images.initrd) as machine:
        ours, theirs = under_load(machine)
    say(f"{suite}: with the hook: {ours[2]}; without: {theirs[2]}")
    found = look(directory / "with-hook", ours[0], images.kernel, images.initrd, ours[1])
    control = look(directory / "without-hook", theirs[0], images.kernel, images.initrd)
    lines = [f"with the hook     {ours[2]}"]
    for name, result in (("with the hook   ", found), ("without the hook", control)):
        lines += [f"{name}  file system frozen: {result['frozen']}",
                  f"{name}  MyISAM: {verdict(result['myisam'])}",
                  f"{name}  Aria:   {verdict(result['aria'])}",
                  f"{name}  record: {record_line(result['record'])}",
                  f"{name}  binary log in the image: {' '.join(result['binlog size'])}"]
    lines.append(f"with the hook     acknowledged {ours[1]}, lost {found['lost']}")
    for line in lines:
        say(f"{suite}:   {line}")
    check(found, control)
    return lines


def verdict(answer):
    status, output = answer
    said = [line for line in output.splitlines() if not line.startswith("Checking Aria file")]
    text = " ".join(" ".join(said).split())
    return "clean" if status == 0 and not text else f"status {status}: {text[:160]}"


def record_line(record):
    apps = {app["name"]: app for app in record.get("apps", [])}
    return f"{record.get('state', 'none')}; " + ", ".join(
        f"{name}: {app.get('outcome', '?')} " + " ".join(
            str(app.get("coordinates", {}).get(key))
            for key in ("binlog-file", "binlog-position", "redo-lsn")
            if key in app.get("coordinates", {})) for name, app in apps.items())


def check(found, control):
    expect(found["frozen"] and control["frozen"], "the snapshots were not of frozen file systems")
    expect(verdict(found["myisam"]) == "clean", f"MyISAM: {found['myisam']}")
    expect(verdict(found["aria"]) == "clean", f"Aria: {found['aria']}")
    expect(found["record"].get("state") == "held", f"the record says {found['record']}")
    main = [app for app in found["record"]["apps"] if app["name"] == "mariadb"][0]["coordinates"]
    expect(found["binlog size"] == [main["binlog-file"], main["binlog-position"]],
           f"recorded {main}, in the image {found['binlog size']}")
    expect(all(lost == 0 for lost in found["lost"].values()), f"rows are lost: {found['lost']}")
    for table in TABLES[:3]:
        expect(found[f"check {table}"].endswith("\tstatus\tOK"), found[f"check {table}"])
    expect(verdict(control["myisam"]) != "clean" or verdict(control["aria"]) != "clean",
           "the control, without our hook, is as good: this shows nothing")
