# SPDX-License-Identifier: GPL-2.0-or-later
"""One snapshot of a guest that is being written to, with our hook or without any.

tools/demo shows it, test_freeze_qemu_ga.py looks at every part of it."""

import dataclasses
import json
import shutil
import time
from pathlib import Path

from . import mariadb, programs
from .agent import Agent
from .filesystem import Filesystem
from .house import House
from .snapshot import Snapshot
from .writers import Writers

ROWS_AFTER = 20
DISK_MEGABYTES = 200
PASSWORD = "not-to-be-seen"
HOLDER = "quiesced"


@dataclasses.dataclass
class Outcome:
    frozen: int                         # file systems, as the agent answered
    pause: float                        # seconds; the largest gap between two answers
    frozen_for: float                   # seconds from the freeze's answer to the thaw
    answers_while_frozen: int
    tables: dict                        # kind: snapshot.Table
    holders: dict                       # sessions of ours while frozen
    statements: list                    # (session, statement) of the whole run
    record_in_image: dict | None
    record: dict | None                 # on the live disk, after the thaw
    record_path: Path | None

    @property
    def consistent(self):
        return all(table.clean and table.lost == 0 for table in self.tables.values())


class Experiment:
    """with Experiment(directory, template, with_hook=True) as one: one.run()"""

    def __init__(self, directory, template, with_hook, rows=300):
        self.directory = Path(directory)
        self.with_hook = with_hook
        self._rows = rows               # of each writer before the snapshot
        self._template = template
        self._closers = []

    def run(self, tell=lambda text: None):
        """The Outcome; `tell` hears what is being done."""
        disk = self._open(Filesystem(self.directory / "disk.img", self.directory / "disk",
                                     DISK_MEGABYTES))
        server = self._start_server(disk)
        house = self._start_house(disk, server) if self.with_hook else None
        agent = self._open(Agent(
            self.directory / "agent", programs.program("fsfreeze-hook") if house else None,
            house.environment() if house else None))
        writers = Writers(server)
        try:
            tell("clients write to all three tables")
            writers.wait_for_rows(self._rows)
            begin = time.monotonic()
            tell("guest-fsfreeze-freeze-list")
            count = agent.freeze(disk.mountpoint)
            frozen = time.monotonic()
            tell("frozen: the disk is copied")
            holders = server.sessions(HOLDER)
            image = disk.copy(self.directory / "copy.img")
            tell("guest-fsfreeze-thaw")
            thaw = time.monotonic()
            agent.thaw()
            end = time.monotonic()
            writers.wait_for_rows(ROWS_AFTER, after=end)
        finally:
            disk.thaw()
            writers.stop()
        tell("a second server starts on the copy")
        tables, record_in_image = self._look_at(image, writers.acknowledged(frozen))
        return Outcome(
            frozen=count, pause=writers.longest_pause(begin, end), frozen_for=thaw - frozen,
            answers_while_frozen=writers.count_between(frozen, thaw), tables=tables,
            holders=holders, statements=server.statements(), record_in_image=record_in_image,
            record=house.record() if house else None,
            record_path=Path("disk/state/record.json") if house else None)

    def _open(self, thing):
        self._closers.append(thing.close)
        return thing

    def _start_server(self, disk):
        data = disk.mountpoint / "data"
        mariadb.copy_template(self._template, data)
        server = self._open(mariadb.MariaDB(data, self.directory / "server"))
        server.start()
        if self.with_hook:
            server.grant_user(HOLDER, PASSWORD)
        return server

    def _start_house(self, disk, server):
        house = House(self.directory / "house", state=disk.mountpoint / "state")
        self._open(house)
        house.app("main", server, user=HOLDER, password=PASSWORD)
        house.daemon.start()
        return house

    def _look_at(self, image, acknowledged):
        with Snapshot(image, self.directory) as snapshot:
            record = snapshot.filesystem.mountpoint / "state" / "record.json"
            return (snapshot.tables(acknowledged),
                    json.loads(record.read_text()) if record.exists() else None)

    def close(self):
        while self._closers:
            self._closers.pop()()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
