# SPDX-License-Identifier: GPL-2.0-or-later
"""Part 4: enforcing, with the agent confined as on Fedora; with our policy module, without."""

from .machine import AgentError, Machine
from .shell import expect, say

ENFORCING = "security=selinux selinux=1 enforcing=1"
CYCLES = 3

OURS = r"quiesced|virt_qemu_ga|fsfreeze"
AUSEARCH = "ausearch --input-logs -m AVC,USER_AVC,SELINUX_ERR -ts boot 2>&1"

# what a domain may try, what it must not be able to do, by the bits of vm-probe
SOCKET = "connect:/run/quiesced/quiesced.sock"
MARIADB = "connect:/run/mysqld/mysqld.sock"
POSTGRESQL = "connect:/run/postgresql/.s.PGSQL.5432"
MARKER = "create:/run/quiesced/probe"
FILES = "create:/var/tmp/probe create:/tmp/probe"
DISK = "create:/var/lib/quiesced/probe create:/etc/quiesced/probe open:/dev/vdb"


def denials(machine):
    """All, and those that name us."""
    text = machine.try_sh(AUSEARCH, 120)[1]
    lines = [line for line in text.splitlines() if "denied" in line or "SELINUX_ERR" in line]
    ours = machine.try_sh(f"{AUSEARCH} | grep -E 'denied|SELINUX_ERR' | grep -E '{OURS}'", 120)
    return lines, ours[1].splitlines()


def contexts(machine):
    return machine.sh("ps -eo label,comm | grep -E 'qemu-ga|quiesced|mariadbd|postgres$' | "
                      "sort -u")


def probe(machine, user, command):
    """The exit status of `command`, run by PID 1 as a service is."""
    unit = "/run/systemd/system/vm-probe.service"
    shown = machine.sh(
        f"printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nUser={user}\\n"
        f"ExecStart={command}\\n' >{unit}; "
        "systemctl daemon-reload; systemctl start vm-probe 2>/dev/null; "
        "systemctl show -p ExecMainPID,ExecMainStatus --value vm-probe; "
        "systemctl stop vm-probe; systemctl reset-failed vm-probe 2>/dev/null; true").split()
    expect(len(shown) == 2 and shown[0] != "0", f"{command} was not run: {shown}")
    return int(shown[1])


def confinement(machine):
    """Each by a user who may do it, so that the policy alone says no."""
    for label in ("quiesced", "quiesced_worker"):
        machine.sh(f"cp /usr/local/sbin/vm-probe /usr/sbin/probe-{label} && "
                   f"chcon -t {label}_exec_t /usr/sbin/probe-{label}")
    daemon = "/usr/sbin/probe-quiesced"
    worker = f"{daemon} exec:/usr/sbin/probe-quiesced_worker"
    anybody = "/usr/local/sbin/vm-probe"
    lines = []
    for what, user, command, wanted in (
            ("daemon, the marker", "quiesced", f"{daemon} {MARKER}", 1),
            ("daemon, databases", "quiesced", f"{daemon} {MARIADB} {POSTGRESQL}", 0),
            ("daemon, files", "quiesced", f"{daemon} {FILES}", 0),
            ("daemon, disks", "root", f"{daemon} {DISK}", 0),
            ("worker, databases", "quiesced", f"{worker} {MARIADB} {POSTGRESQL}", 3),
            ("worker, our socket", "quiesced", f"{worker} {SOCKET}", 0),
            ("worker, files and the marker", "quiesced", f"{worker} {FILES} {MARKER}", 0),
            ("worker, disks", "root", f"{worker} {DISK}", 0),
            ("unconfined, the same as quiesced", "quiesced",
             f"{anybody} {MARIADB} {POSTGRESQL} {SOCKET} {FILES} {MARKER}", 63),
            ("unconfined, the same as root", "root", f"{anybody} {DISK}", 7)):
        status = probe(machine, user, command)
        expect(status == wanted, f"{what}: {status}, and not {wanted}: {command}")
        lines.append(f"{what}: {'denied' if wanted == 0 else 'allowed'}")
        machine.sh("rm -f /run/quiesced/probe /var/tmp/probe /tmp/probe /var/lib/quiesced/probe "
                   "/etc/quiesced/probe")
    machine.sh("rm -f /usr/sbin/probe-*")
    return "; ".join(lines)


def with_module(suite, images, directory):
    sources = {"root": images.root, "data": images.data}
    with Machine(directory / "enforcing", sources, images.kernel, images.initrd,
                 ENFORCING) as machine:
        machine.wait_for_databases()
        expect(machine.sh("getenforce").strip() == "Enforcing", "not enforcing")
        found = contexts(machine)
        say(f"{suite}: domains:\n{found}")
        for domain in ("virt_qemu_ga_t", "quiesced_t", "mysqld_t", "postgresql_t"):
            expect(f":{domain}:" in found, f"nothing runs in {domain}:\n{found}")
        for cycle in range(CYCLES):
            try:
                machine.freeze()
                machine.thaw()
            except AgentError as error:
                raise AssertionError(explain(machine, f"cycle {cycle + 1}: {error}")) from error
        log = machine.sh("cat /var/log/qemu-ga/fsfreeze-hook.log")
        expect("quiesced_script_t" in log, f"the script was not confined:\n{log}")
        labels = machine.sh("ls -ldZ /run/quiesced /run/quiesced/quiesced.sock "
                            "/run/quiesced-hook /var/lib/quiesced/record.json "
                            "/var/log/qemu-ga/fsfreeze-hook.log")
        by_hand = machine.try_sh("fsfreeze-hook freeze; echo $?; quiescectl status; "
                                 "fsfreeze-hook thaw; echo $?")[1]
        machine.sh("sync")
        everything, ours = denials(machine)
        say(f"{suite}: labels:\n{labels}{suite}: by hand:\n{by_hand}")
        say(f"{suite}: ausearch: {len(everything)} denials, {len(ours)} of them ours")
        for line in ours[:40] or everything[:10]:
            say("    " + line)
        expect(not ours, f"{len(ours)} denials, the first: {ours[:1]}")
        confined = confinement(machine)
        after = denials(machine)[1]
        say(f"{suite}: ausearch after the probes: {len(after)} denials")
        for line in after[:12]:
            say("    " + line)
        expect(after, "the probes were denied, but not by the policy")
    return [f"enforcing, agent in virt_qemu_ga_t: {CYCLES} cycles with a script and two peer "
            f"logins, ausearch: 0 denials of ours ({len(everything)} of others)",
            f"confinement: {confined}"]


def explain(machine, what):
    ours = denials(machine)[1]
    return (what + "\n" + "\n".join(ours[:30]) + "\n" +
            machine.try_sh("journalctl -b -n 40 --no-pager -u quiesced -u qemu-guest-agent "
                           "-t fsfreeze-hook")[1])


def without_module(suite, images, directory):
    sources = {"root": images.root_without, "data": images.data}
    with Machine(directory / "without-module", sources, images.kernel, images.initrd,
                 ENFORCING) as machine:
        machine.wait_for_databases()
        try:
            machine.freeze()
        except AgentError as error:
            said = str(error)
        else:
            machine.thaw()
            raise AssertionError("without our module the freeze works: the test shows nothing")
        ours = denials(machine)[1]
        say(f"{suite}: without our module: {said}")
        for line in ours[:10]:
            say("    " + line)
        # the socket is the daemon's user's: it takes a capability before it takes connectto
        expect(any('comm="fsfreeze-hook"' in line for line in ours),
               f"the freeze failed, but not for what the hook was denied: {ours[:3]}")
    return [f"the same without our module: {said}; denied: {len(ours)}"]


def part(suite, images, directory):
    return with_module(suite, images, directory) + without_module(suite, images, directory)
