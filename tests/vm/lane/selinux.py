# SPDX-License-Identifier: GPL-2.0-or-later
"""Part 4: enforcing, with the agent confined as on Fedora; with our policy module, without.
Part 5: the module is loaded into such a guest while it runs, and removed."""

import json
import re

from .machine import AgentError, Machine
from .shell import Failed, expect, say, wait_until

ENFORCING = "security=selinux selinux=1 enforcing=1"
CYCLES = 3

OURS = r"quiesced|virt_qemu_ga|fsfreeze"
AUSEARCH = "ausearch --input-logs -m AVC,USER_AVC,SELINUX_ERR -ts boot 2>&1"

LABELS = {
    "/run/quiesced": "quiesced_runtime_t",
    "/run/quiesced/quiesced.sock": "quiesced_runtime_t",
    "/run/quiesced-hook": "quiesced_hook_runtime_t",
    "/var/lib/quiesced/record.json": "quiesced_var_lib_t",
    "/var/log/qemu-ga/fsfreeze-hook.log": "quiesced_log_t",
}

# what a domain may try, what it must not be able to do, by the bits of vm-probe
SOCKET = "connect:/run/quiesced/quiesced.sock"
MARIADB = "connect:/run/mysqld/mysqld.sock"
POSTGRESQL = "connect:/run/postgresql/.s.PGSQL.5432"
TCP = "tcp:3306 tcp:5432 tcp:6379"
MARKER = "create:/run/quiesced/probe"
FILES = "create:/var/tmp/probe create:/tmp/probe"
MADE = "/run/quiesced/probe /var/tmp/probe /tmp/probe /var/lib/quiesced/probe /etc/quiesced/probe"
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


def probe(machine, commands):
    """The exit status of each (user, command), run by PID 1 as a service is."""
    names = [f"vm-probe-{number}" for number in range(len(commands))]
    for name, (user, command) in zip(names, commands):
        machine.sh(f"printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nUser={user}\\n"
                   f"ExecStart={command}\\n' >/run/systemd/system/{name}.service")
    # one after the other: what one makes is gone before the next
    shown = machine.sh("systemctl daemon-reload; for unit in " + " ".join(names) + "; do "
                       "systemctl start $unit 2>/dev/null; "
                       "systemctl show -p ExecMainPID,ExecMainStatus --value $unit; "
                       f"rm -f {MADE}; systemctl stop $unit; done; "
                       "rm /run/systemd/system/vm-probe-*.service; "
                       "systemctl reset-failed 'vm-probe-*' 2>/dev/null; true").split()
    expect(len(shown) == 2 * len(commands) and "0" not in shown[::2], f"not run: {shown}")
    return [int(status) for status in shown[1::2]]


def logged_in(command):
    """`command`, by an administrator's shell."""
    return f"runcon unconfined_u:unconfined_r:unconfined_t:s0 /bin/bash -c '{command}'"


def cycle(machine, what, by_hand=False):
    """A freeze and a thaw by the agent, or by an administrator; what they add to the log
    file."""
    log = "/var/log/qemu-ga/fsfreeze-hook.log"
    length = int(machine.sh(f"stat -c %s {log} 2>/dev/null || echo 0"))
    try:
        if by_hand:
            machine.sh(logged_in("fsfreeze-hook freeze && fsfreeze-hook thaw"))
        else:
            machine.freeze()
            machine.thaw()
    except (AgentError, Failed) as error:
        raise AssertionError(explain(machine, f"{what}: {error}")) from error
    return machine.sh(f"tail -c +{length + 1} {log}")


def script_domain(machine, what, wanted, by_hand=False):
    """All scripts say where they run."""
    log = cycle(machine, what, by_hand)
    found = set(re.findall(r"the script was told to \w+, as \w+:\w+:(\w+)", log))
    expect(found == {wanted}, f"{what}: scripts ran in {found}, and not in {wanted}:\n{log}")
    return f"{what}: {wanted}"


def scripts(machine):
    """Ours, and the stock hook's with the label that Fedora gives them, by both booleans."""
    ours, stock = "/etc/quiesced/hooks.d", "/etc/qemu/fsfreeze-hook.d"
    lines = [script_domain(machine, "a script", "quiesced_script_t"),
             script_domain(machine, "by hand", "quiesced_script_t", True)]
    machine.sh("setsebool quiesced_run_unconfined on")
    lines.append(script_domain(machine, "with quiesced_run_unconfined",
                               "quiesced_unconfined_script_t"))
    machine.sh(f"setsebool quiesced_run_unconfined off; mv {ours}/50-note {stock}; "
               f"chcon -R -t virt_qemu_ga_unconfined_exec_t {stock}")
    lines.append(script_domain(machine, "a stock script", "quiesced_script_t"))
    machine.sh("setsebool virt_qemu_ga_run_unconfined on")
    lines.append(script_domain(machine, "with virt_qemu_ga_run_unconfined",
                               "virt_qemu_ga_unconfined_t"))
    lines.append(script_domain(machine, "by hand", "virt_qemu_ga_unconfined_t", True))
    machine.sh(f"setsebool virt_qemu_ga_run_unconfined off; mv {stock}/50-note {ours}; "
               f"restorecon -RF {stock} {ours}")
    return "; ".join(lines)


def credential(machine):
    """A login by a password that PID 1 lays down for the service alone."""
    app, drop_in = "/etc/quiesced/apps.d/mariadb.conf", "quiesced.service.d/vm.conf"
    machine.sh("mariadb -e \"CREATE USER backup@localhost IDENTIFIED BY 'open sesame'; GRANT "
               "RELOAD, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO backup@localhost\" && "
               "install -d -m 700 /etc/quiesced/credentials && "
               "echo open sesame >/etc/quiesced/credentials/backup && "
               f"cp -a {app} /run/app.conf && "
               f"printf 'user = backup\npassword-file = backup\n' >>{app} && "
               "restorecon -RF /etc/quiesced && "
               "mkdir -p /etc/systemd/system/quiesced.service.d && "
               "printf '[Service]\nLoadCredential=backup:/etc/quiesced/credentials/backup\n' "
               f">/etc/systemd/system/{drop_in} && "
               "systemctl daemon-reload && systemctl restart quiesced")
    cycle(machine, "with a credential")
    record = json.loads(machine.sh("cat /var/lib/quiesced/record.json"))
    expect(record["state"] == "thawed" and record["consistent"], f"the record: {record}")
    machine.sh(f"cp -a /run/app.conf {app}; restorecon -F {app}; "
               f"rm -r /etc/quiesced/credentials /etc/systemd/system/{drop_in}; "
               "systemctl daemon-reload; systemctl restart quiesced")
    return "a login by LoadCredential="


def confinement(machine):
    """Each by a user who may do it, so that the policy alone says no."""
    for label in ("quiesced", "quiesced_worker"):
        machine.sh(f"cp /usr/local/sbin/vm-probe /usr/sbin/probe-{label} && "
                   f"chcon -t {label}_exec_t /usr/sbin/probe-{label}")
    daemon = "/usr/sbin/probe-quiesced"
    worker = f"{daemon} exec:/usr/sbin/probe-quiesced_worker"
    anybody = "/usr/local/sbin/vm-probe"
    tries = (
        ("daemon, the marker", "quiesced", f"{daemon} {MARKER}", 1),
        ("daemon, databases", "quiesced", f"{daemon} {MARIADB} {POSTGRESQL}", 0),
        ("daemon, files", "quiesced", f"{daemon} {FILES}", 0),
        ("daemon, disks", "root", f"{daemon} {DISK}", 0),
        ("worker, databases", "quiesced", f"{worker} {MARIADB} {POSTGRESQL}", 3),
        ("worker, TCP", "quiesced", f"{worker} {TCP}", 0),
        ("worker, our socket", "quiesced", f"{worker} {SOCKET}", 0),
        ("worker, files and the marker", "quiesced", f"{worker} {FILES} {MARKER}", 0),
        ("worker, disks", "root", f"{worker} {DISK}", 0),
        ("unconfined, the same as quiesced", "quiesced",
         f"{anybody} {MARIADB} {POSTGRESQL} {SOCKET} {FILES} {MARKER}", 63),
        ("unconfined, the same as root", "root", f"{anybody} {DISK}", 7))
    lines = []
    found = probe(machine, [(user, command) for _, user, command, _ in tries])
    for (what, _, command, wanted), status in zip(tries, found):
        expect(status == wanted, f"{what}: {status}, and not {wanted}: {command}")
        lines.append(f"{what}: {'denied' if wanted == 0 else 'allowed'}")
    machine.sh("setsebool quiesced_tcp_connect_db on")
    status = probe(machine, [("quiesced", f"{worker} {TCP} tcp:80")])[0]
    expect(status == 7, f"with quiesced_tcp_connect_db: {status}, and not 7")
    lines.append("with quiesced_tcp_connect_db: the ports of databases alone")
    machine.sh("setsebool quiesced_tcp_connect_db off; rm -f /usr/sbin/probe-*")
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
        for number in range(CYCLES):
            cycle(machine, f"cycle {number + 1}")
        labels = machine.sh(f"stat -c '%C %n' {' '.join(LABELS)}")
        for path, label in LABELS.items():
            expect(f":{label}:s0 {path}\n" in labels + "\n", f"no {label} on {path}:\n{labels}")
        variants = [scripts(machine), credential(machine)]
        machine.sh("sync")
        everything, ours = denials(machine)
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
            *variants, f"confinement: {confined}"]


def explain(machine, what):
    ours = denials(machine)[1]
    return (what + "\n" + "\n".join(ours[:30]) + "\n" +
            machine.try_sh(logged_in("journalctl -b -n 40 --no-pager -u quiesced "
                                     "-u qemu-guest-agent -t fsfreeze-hook"))[1])


def denied(machine):
    """A freeze that the policy does not allow: what the host is told."""
    try:
        machine.freeze()
    except AgentError as error:
        return str(error).strip()
    machine.thaw()
    raise AssertionError("without our module the freeze works: the test shows nothing")


def without_module(suite, images, directory):
    sources = {"root": images.root_without, "data": images.data}
    with Machine(directory / "without-module", sources, images.kernel, images.initrd,
                 ENFORCING) as machine:
        machine.wait_for_databases()
        said = denied(machine)
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


def load(suite, images, directory):
    """Part 5: by the scripts of the package, into a guest that runs and enforces."""
    sources = {"root": images.root_without, "data": images.data}
    with Machine(directory / "load", sources, images.kernel, images.initrd,
                 ENFORCING) as machine:
        machine.wait_for_databases()
        denied(machine)
        before = denials(machine)[1]
        machine.sh("sh /root/postinst configure", 900)
        wait_until(lambda: ":quiesced_t:" in contexts(machine), "the daemon in its domain", 60)
        cycle(machine, "after loading the module")
        after = denials(machine)[1][len(before):]
        expect(not after, f"{len(after)} denials, the first: {after[:1]}")
        machine.sh("sh /root/prerm remove", 900)
        wait_until(lambda: machine.try_sh("quiescectl status")[0] == 0, "the daemon answers", 60)
        left = machine.sh(f"ps -eo label,comm; stat -c '%C %n' {' '.join(LABELS)} "
                          "/usr/sbin/fsfreeze-hook /etc/quiesced")
        expect("quiesced_" not in left, left)
        expect("unlabeled_t" not in left, left)
        denied(machine)
    return [f"{suite}: loaded: a cycle without a denial; removed: no label of it is left"]
