# SPDX-License-Identifier: GPL-2.0-or-later
"""How long writers stand still: one round, every contender in it once."""

import os
import signal
import struct
import subprocess
import time

from harness import mariadb, programs
from harness.filesystem import Filesystem
from harness.process import spawn
from harness.snapshot import Snapshot
from harness.writers import TABLES, create_tables

import contenders
import inside

DISK_MEGABYTES = 256
BACKING_MEGABYTES = 1500
WRITERS = 8
PAUSE_USEC = 2000
SETTLE_SECONDS = 1.0
WARM_UP_SECONDS = 2.0
NSEC = 1_000_000


class Writers:
    """The clients (writer.c), from here to stop()."""

    def __init__(self, server, directory):
        kinds = list(TABLES)
        self._directory = directory / "acks"
        self._directory.mkdir()
        # as many on InnoDB as on the others together
        self.kinds = [kinds[0] if number % 2 == 0 else kinds[1 + number // 2 % 2]
                      for number in range(WRITERS)]
        self.acks = []                  # per writer: [(id, nsec)]
        self._log = directory / "writer.log"
        self._process = spawn([programs.program("bench/writer"), server.socket, self._directory,
                               str(PAUSE_USEC), *(TABLES[kind] for kind in self.kinds)],
                              self._log)

    def stop(self):
        if self._process is None:
            return
        process, self._process = self._process, None
        os.killpg(process.pid, signal.SIGTERM)
        if process.wait(timeout=30) != 0:
            raise RuntimeError(f"the writers failed: {self._log.read_text()}")
        for number in range(WRITERS):
            data = (self._directory / str(number)).read_bytes()
            self.acks.append(list(struct.iter_unpack("=QQ", data)))

    def stall(self, begin, end):
        """The longest pause of any writer that reaches into the time from begin to end."""
        longest = 0
        for acks in self.acks:
            for (_, one), (_, other) in zip(acks, acks[1:]):
                if other > begin and one < end:
                    longest = max(longest, other - one)
        return longest

    def between(self, begin, end):
        return sum(begin < nsec < end for acks in self.acks for _, nsec in acks)

    def last_before(self, when):
        return max(nsec for acks in self.acks for _, nsec in acks if nsec < when)

    def first_after(self, when):
        return min(nsec for acks in self.acks for _, nsec in acks if nsec > when)

    def acknowledged(self, before):
        """Per kind of table the ids that were acknowledged by then."""
        ids = {kind: set() for kind in TABLES}
        for kind, acks in zip(self.kinds, self.acks):
            ids[kind].update(number for number, nsec in acks if nsec < before)
        return ids


class Round:
    """A disk, a server and its writers, for one snapshot by each contender."""

    def __init__(self, directory, template, journal, hold_ms):
        self.directory = directory
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self._journal = journal
        self._hold_ms = hold_ms
        self._closers = []
        backing = self.directory / "backing.img"
        with open(backing, "wb") as file:
            file.truncate(BACKING_MEGABYTES << 20)
        subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", backing], check=True)
        self.backing = self._open(Filesystem(backing, self.directory / "backing"))
        self.disk = self._open(Filesystem(self.backing.mountpoint / "disk.img",
                                          self.directory / "disk", DISK_MEGABYTES))
        data = self.disk.mountpoint / "data"
        mariadb.copy_template(template, data)
        self.server = self._open(mariadb.MariaDB(data, self.directory / "server"))
        self.server.start()
        self.server.sql("SET GLOBAL general_log = OFF")
        self.server.grant_user(contenders.USER, contenders.PASSWORD)
        create_tables(self.server)

    def _open(self, thing):
        self._closers.append(thing.close)
        return thing

    def run(self, kinds, tell):
        """What became of each contender, by its name."""
        times = {}
        inner = {}
        (self.disk.mountpoint / "log").mkdir()
        contenders.bind(self.disk.mountpoint / "log", "/var/log")
        writers = Writers(self.server, self.directory)
        try:
            time.sleep(WARM_UP_SECONDS)
            for kind in kinds:
                tell(kind.title)
                one = kind(self.directory / kind.name, self.disk, self.server)
                one.start()
                try:
                    time.sleep(SETTLE_SECONDS)
                    times[kind.name] = self._snapshot(one)
                    time.sleep(SETTLE_SECONDS / 2)
                    inner[kind.name] = inside.look(one, times[kind.name], self._journal)
                finally:
                    one.close()
        finally:
            self.disk.thaw()
            writers.stop()
            contenders.unbind("/var/log")
        return {kind.name: {**self._judge(kind, times[kind.name], writers), **inner[kind.name]}
                for kind in kinds}

    def _snapshot(self, contender):
        command = [programs.program("bench/snapshot"), self.disk.mountpoint, self.disk.image,
                   self._copy(contender.name), str(self._hold_ms)]
        if contender.hook:
            command.append(contender.hook)
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120,
                                env=contenders.environment(contender)).stdout
        return {name: int(number) for name, number in map(str.split, output.splitlines())}

    def _copy(self, name):
        return self.backing.mountpoint / f"{name}.img"

    def _judge(self, kind, t, writers):
        tables = self._tables(kind.name, writers.acknowledged(t["freeze_end"]))
        return {
            "freeze_status": t["freeze_status"],
            "thaw_status": t["thaw_status"],
            "hook_freeze": (t["freeze_end"] - t["freeze_begin"]) / NSEC,
            "hook_thaw": (t["thaw_end"] - t["thaw_begin"]) / NSEC,
            "fifreeze": (t["frozen"] - t["freeze_end"]) / NSEC,
            "held_to_frozen": (t["frozen"] - writers.last_before(t["frozen"])) / NSEC,
            "stall": writers.stall(t["freeze_begin"], t["thaw_end"]) / NSEC,
            "first_write": (writers.first_after(t["thawed"]) - t["thawed"]) / NSEC,
            "writes_between": writers.between(t["freeze_end"], t["frozen"]),
            "clean": all(table.clean for table in tables.values()),
            "lost": sum(table.acknowledged if table.lost is None else table.lost
                        for table in tables.values()),
            "tables": {name: table.state for name, table in tables.items()},
        }

    def _tables(self, name, acknowledged):
        directory = self.directory / f"{name}-copy"
        directory.mkdir()
        with Snapshot(self._copy(name), directory) as snapshot:
            return snapshot.tables(acknowledged)

    def close(self):
        while self._closers:
            self._closers.pop()()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
