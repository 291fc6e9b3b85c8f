# SPDX-License-Identifier: GPL-2.0-or-later
"""Part 2: libvirt's snapshot-create-as --quiesce, with and without a failing app."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from .machine import Guest, Shell, make_overlay
from .shell import Failed, expect, run, say, wait_until

URI = "qemu:///system"
ONE_AT_A_TIME = threading.Lock()    # of its daemons
CONFIGURATION = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
remember_owner = 0
stdio_handler = "file"
"""

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>1536</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>root=/dev/vda rw console=ttyS0 quiet</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'>
    <feature policy='disable' name='la57'/><feature policy='disable' name='cx16'/>
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{root}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{data}'/>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{console}'/></serial>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
    </channel>
    <channel type='unix'>
      <source mode='bind' path='{shell}'/>
      <target type='virtio' name='quiesced.shell'/>
    </channel>
    <memballoon model='none'/>
  </devices>
</domain>
"""

FAILING = """[app]
plugin = mysql

[mysql]
socket = /nowhere/at/all
"""


@contextlib.contextmanager
def daemons(directory):
    """libvirt's, with all that they write on file systems of their own: the lane runs in
    a mount namespace, and the machine's own libvirt, if there is one, is not met."""
    started = []
    places = ("/etc/libvirt", "/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt",
              "/var/log/libvirt")
    with contextlib.ExitStack() as undo:
        for place in places:
            os.makedirs(place, exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", place)
            undo.callback(run, "umount", "-l", place)
        for name in ("passwd", "group"):    # what libvirt-daemon-system would have added
            words = ["libvirt-qemu", "x", "64055"]
            words += ["64055", "", "/", "/bin/false"] if name == "passwd" else [""]
            copy = directory / name
            copy.write_text(Path(f"/etc/{name}").read_text() + ":".join(words) + "\n")
            run("mount", "--bind", copy, f"/etc/{name}")
            undo.callback(run, "umount", "-l", f"/etc/{name}")
        with open("/etc/libvirt/qemu.conf", "w") as file:
            file.write(CONFIGURATION)
        with open("/etc/libvirt/libvirtd.conf", "w") as file:
            file.write('auth_unix_ro = "none"\nauth_unix_rw = "none"\n')
        log = undo.enter_context(open(directory / "libvirtd.log", "w"))
        for program in ("virtlogd", "libvirtd"):
            process = subprocess.Popen(["nice", "-n", "10", program],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.append(process)
            undo.callback(end, process)
        wait_until(lambda: "Id" in virsh("list", check=False), "libvirtd answers", 60)
        yield


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def virsh(*words, check=True):
    return run("virsh", "-c", URI, *words, check=check)


def snapshot(name, label):
    began = time.monotonic()
    done = subprocess.run(["virsh", "-c", URI, "snapshot-create-as", name, label, "--disk-only",
                           "--atomic", "--quiesce", "--no-metadata"], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, " ".join(done.stdout.split()), time.monotonic() - began


def part(suite, images, directory):
    guest = Guest(directory)
    name = f"quiesced-{suite}"
    paths = {"root": directory / "root.qcow2", "data": directory / "data.qcow2"}
    make_overlay(images.root, paths["root"])
    make_overlay(images.data, paths["data"])
    definition = directory / "domain.xml"
    definition.write_text(DOMAIN.format(
        name=name, kernel=images.kernel, initrd=images.initrd, console=directory / "console.log",
        shell=directory / "shell.sock", **paths))
    with ONE_AT_A_TIME, daemons(directory):
        virsh("create", definition)
        try:
            guest.shell = Shell(directory / "shell.sock")
            wait_until(lambda: guest.shell.greeted, "the guest has booted", 900)
            guest.wait_for_databases()
            wait_until(lambda: "return" in virsh("qemu-agent-command", name,
                                                 '{"execute":"guest-ping"}', check=False),
                       "the agent answers libvirt", 120)
            return [works(suite, guest, name, directory),
                    fails(suite, guest, name, directory)]
        finally:
            virsh("destroy", name, check=False)


def works(suite, guest, name, directory):
    status, said, took = snapshot(name, "works")
    expect(status == 0, f"snapshot-create-as --quiesce: {said}")
    overlays = sorted(path.name for path in directory.glob("*.works"))
    expect(len(overlays) == 2, f"overlays: {overlays}")
    expect('"thawed"' in guest.sh("cat /var/lib/quiesced/record.json"), "the record is not thawed")
    line = f"libvirt --quiesce: {said} in {took:.1f} s"
    say(f"{suite}:   {line}")
    return line


def fails(suite, guest, name, directory):
    guest.sh(f"printf %s '{FAILING}' >/etc/quiesced/apps.d/broken.conf && "
             "chown root:quiesced /etc/quiesced/apps.d/broken.conf && "
             "chmod 640 /etc/quiesced/apps.d/broken.conf")
    status, said, took = snapshot(name, "fails")
    if status == 0:
        raise Failed("a snapshot with a failing app was taken")
    expect(not list(directory.glob("*.fails")), "the failed snapshot left an overlay")
    expect("fsfreeze hook" in said, f"the host was told: {said}")
    if suite != "bookworm":     # qemu-ga 9.1 and later
        expect("broken" in said and "/nowhere/at/all" in said, f"the host was told: {said}")
    expect(guest.try_sh("test -e /run/quiesced/marker")[0] != 0, "something is still held")
    guest.sh("rm /etc/quiesced/apps.d/broken.conf")
    expect(snapshot(name, "again")[0] == 0, "no snapshot once the failing app is gone")
    line = f"an app that fails: no overlay, the host is told after {took:.1f} s: {said}"
    say(f"{suite}:   {line}")
    return line
