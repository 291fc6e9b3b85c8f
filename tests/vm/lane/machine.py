# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs, and its host's ends: QMP, the agent, a shell, what was acknowledged."""

import base64
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from .shell import Failed, run, say, wait_until

DISKS = ("root", "data")


class AgentError(Exception):
    """What the host is told."""


class Lines:
    """A socket to a chardev, of lines."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._data = b""

    def send(self, line):
        self._socket.sendall(line.encode() + b"\n")

    def receive(self, seconds):
        self._socket.settimeout(seconds)
        while b"\n" not in self._data:
            try:
                more = self._socket.recv(65536)
            except (TimeoutError, OSError) as error:
                raise Failed(f"no answer within {seconds} s") from error
            if not more:
                raise Failed("the guest's end is closed")
            self._data += more
        line, self._data = self._data.split(b"\n", 1)
        return line.decode(errors="replace")

    def close(self):
        self._socket.close()


class Shell:
    """Commands, run by a service in the guest; several at a time."""

    def __init__(self, path):
        self._lines = Lines(path)
        self._answers = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self.greeted = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(Exception):
            while True:
                words = self._lines.receive(None).split(" ")
                with self._changed:
                    if words[0] == "hello":
                        self.greeted += 1
                    elif len(words) == 3:
                        self._answers[words[0]] = (int(words[1]), base64.b64decode(words[2]))
                    self._changed.notify_all()

    def start(self, command):
        """A handle for finish()."""
        number = str(next(self._numbers))
        self._lines.send(f"{number} {base64.b64encode(command.encode()).decode()}")
        return number

    def finish(self, number, seconds=60.0):
        """Its status and output."""
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._answers, seconds):
                raise Failed(f"a command in the guest has not ended within {seconds:g} s")
            status, output = self._answers.pop(number)
        return status, output.decode(errors="replace")

    def close(self):
        self._lines.close()


class Guest:
    """What all guests have, however they were started: an agent and a shell."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.shell = None
        self.acks = self.directory / "acks"

    def try_sh(self, command, seconds=90.0):
        return self.shell.finish(self.shell.start(command), seconds)

    def sh(self, command, seconds=90.0):
        status, output = self.try_sh(command, seconds)
        if status != 0:
            raise Failed(f"in the guest: {command}: status {status}:\n{output[-2000:]}")
        return output

    def acknowledged(self):
        """The last row that each table's server has acknowledged by now."""
        last = {}
        for line in self.acks.read_text(errors="replace").splitlines(keepends=True):
            words = line.split()
            if line.endswith("\n") and len(words) == 2 and words[1].isdigit():
                last[words[0]] = int(words[1])
        return last

    def wait_for_databases(self, seconds=600):
        command = ("timeout 60 mariadb-admin ping && timeout 20 runuser -u postgres -- "
                   "psql -c 'SELECT 1' && test -S /run/quiesced/quiesced.sock")
        wait_until(lambda: self.try_sh(command)[0] == 0, "the databases answer", seconds, 1)


class Machine(Guest):
    """qemu-system over overlays of `images`, a dictionary of "root" and "data"."""

    def __init__(self, directory, images, kernel, initrd, append=""):
        super().__init__(directory)
        self.disks = {}
        self._number = itertools.count(1)
        self._agent = None
        self._qmp = None
        for name in DISKS:
            self.disks[name] = self.directory / f"{name}-0.qcow2"
            make_overlay(images[name], self.disks[name])
        self._started = time.monotonic()
        with open(self.directory / "qemu.log", "w") as log:
            self.process = subprocess.Popen(
                ["nice", "-n", os.environ.get("QUIESCED_VM_NICE", "19"),
                 *self._command(kernel, initrd, append)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _command(self, kernel, initrd, append):
        d = self.directory
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35",
            # cx16: qemu 7.2 emulates cmpxchg16b wrongly, and Linux 6.12 dies of it
            "-cpu", "max,la57=off,cx16=off", "-smp", "2", "-m", "1536", "-nodefaults",
            "-display", "none", "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", f"root=/dev/vda rw console=ttyS0 quiet panic=5 {append}",
            "-qmp", f"unix:{d}/qmp.sock,server=on,wait=off", "-serial", f"file:{d}/console.log",
            "-device", "virtio-serial", "-device", "virtio-rng-pci",
            "-chardev", f"socket,path={d}/agent.sock,server=on,wait=off,id=agent",
            "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
            "-chardev", f"socket,path={d}/shell.sock,server=on,wait=off,id=shell",
            "-device", "virtserialport,chardev=shell,name=quiesced.shell",
            "-chardev", f"file,path={self.acks},id=acks",
            "-device", "virtserialport,chardev=acks,name=quiesced.acks",
        ]
        for name in DISKS:
            command += ["-blockdev", f"qcow2,node-name={name}0,file.driver=file,"
                                     f"file.filename={self.disks[name]}",
                        "-device", f"virtio-blk-pci,drive={name}0,id={name}"]
        return command

    def _connect(self):
        wait_until(lambda: self.process.poll() is not None or all(
            (self.directory / f"{name}.sock").exists() for name in ("qmp", "agent", "shell")),
            "qemu is up", 30)
        if self.process.poll() is not None:
            raise Failed((self.directory / "qemu.log").read_text())
        self._qmp = Lines(self.directory / "qmp.sock")
        self._qmp.receive(10)
        self.qmp("qmp_capabilities")
        self.shell = Shell(self.directory / "shell.sock")
        self.wait_for_boot()
        say(f"{self.directory.name}: booted after {time.monotonic() - self._started:.0f} s")

    def wait_for_boot(self, greetings=1):
        wait_until(lambda: self.shell.greeted >= greetings or self.process.poll() is not None,
                   "the guest has booted", 900)
        if self.process.poll() is not None:
            raise Failed("qemu ended: " + (self.directory / "qemu.log").read_text())

    def qmp(self, command, **arguments):
        self._qmp.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self._qmp.receive(60))
            if "error" in answer:
                raise Failed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def agent(self, command, seconds=90.0, **arguments):
        """As a host: what another host has left unread is read away first."""
        if self._agent is None:
            self._agent = Lines(self.directory / "agent.sock")
            self.sync_agent()
        self._agent.send(json.dumps({"execute": command, "arguments": arguments}))
        answer = json.loads(self._agent.receive(seconds))
        if "error" in answer:
            raise AgentError(answer["error"]["desc"])
        return answer["return"]

    def sync_agent(self, seconds=600):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # a new one each time: those that waited for the agent are all answered
            number = int(time.monotonic() * 1000) % 2**31
            self._agent.send(json.dumps({"execute": "guest-sync",
                                         "arguments": {"id": number}}))
            with contextlib.suppress(Failed, ValueError):
                while json.loads(self._agent.receive(3)).get("return") != number:
                    pass
                return
        raise Failed("the agent does not answer")

    def freeze(self):
        return self.agent("guest-fsfreeze-freeze")

    def thaw(self):
        return self.agent("guest-fsfreeze-thaw")

    def snapshot(self):
        """Both disks at one instant, as images that are not written any more."""
        number = next(self._number)
        frozen = dict(self.disks)
        actions = []
        for name in DISKS:
            self.disks[name] = self.directory / f"{name}-{number}.qcow2"
            actions.append({"type": "blockdev-snapshot-sync", "data": {
                "node-name": f"{name}{number - 1}", "snapshot-file": str(self.disks[name]),
                "snapshot-node-name": f"{name}{number}", "format": "qcow2"}})
        self.qmp("transaction", actions=actions)
        return frozen

    def close(self):
        for end in (self._agent, self._qmp, self.shell):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make_overlay(image, overlay):
    kind = "qcow2" if str(image).endswith(".qcow2") else "raw"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", image, overlay)


def was_frozen(image, directory):
    """Does the root file system's journal in `image` need no recovery?"""
    head = Path(directory) / "head.raw"
    run("qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"if={image}", f"of={head}", "bs=1M",
        "count=1")
    features = run("dumpe2fs", "-h", head, check=False)
    if "Filesystem features" not in features:
        raise Failed(f"no ext4 in {image}: {features}")
    return "needs_recovery" not in features
