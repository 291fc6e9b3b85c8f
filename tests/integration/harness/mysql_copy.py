# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy of a MySQL or MariaDB that is written to, held by one method: what it took, and
what the copy holds."""

import dataclasses
import time

from . import mariadb
from .filesystem import Filesystem
from .house import House
from .snapshot import Snapshot
from .writers import ARIA, TABLES, Writers

MEGABYTES = 400
ROWS_BEFORE = 150
ROWS_AFTER = 5


@dataclasses.dataclass
class Outcome:
    server: str
    method: str
    lock_ms: int                # until the lock was granted
    freeze_ms: float            # the hook's whole freeze
    blocked_ms: float           # the longest pause of any writer
    frozen_ms: float            # of it, between the hook's two calls
    answers_while_held: int
    tables: dict                # kind: snapshot.Table
    coordinates: dict

    @property
    def states(self):
        return {kind: table.state for kind, table in self.tables.items()}

    @property
    def lost(self):
        return sum(table.lost for table in self.tables.values())


def take(directory, flavour, template, method, flush):
    """One Outcome, at innodb_flush_log_at_trx_commit = `flush`."""
    directory.mkdir()
    disk = Filesystem(directory / "disk.img", directory / "disk", MEGABYTES)
    options = [f"--innodb-flush-log-at-trx-commit={flush}", "--sync-binlog=0"]
    server = flavour(disk.mountpoint / "data", directory / "server", "held", options)
    house = None
    try:
        mariadb.copy_template(template, server.datadir)
        server.start()
        server.grant_user("quiesced", "secret")
        house = House(directory / "house")
        house.set(sync="no", retry_after="0s")
        house.app("main", server, user="quiesced", password="secret", method=method)
        house.daemon.start()
        outcome, image, acknowledged = _hold(house, disk, server)
    finally:
        if house:
            house.close()
        server.close()
        disk.close()
    with Snapshot(image, directory, flavour, options) as snapshot:
        outcome.tables = snapshot.tables(acknowledged)
    image.unlink()
    return outcome


def _hold(house, disk, server):
    writers = Writers(server, TABLES if server.FLAVOUR == "MySQL" else {**TABLES, **ARIA})
    try:
        writers.wait_for_rows(ROWS_BEFORE)
        begin = time.monotonic()
        freeze = house.hook.freeze()
        assert freeze.status == 0, freeze
        held = time.monotonic()
        disk.freeze()
        image = disk.copy(disk.image.with_name("copy.img"))
        disk.thaw()
        thaw = time.monotonic()
        answer = house.hook.thaw()
        assert answer.status == 0, answer
        end = time.monotonic()
        writers.wait_for_rows(ROWS_AFTER, after=end)
    finally:
        disk.thaw()
        writers.stop()
    (app,) = house.record()["apps"]
    coordinates = app["coordinates"]
    return (Outcome(server=app["server"], method=app["method"],
                    lock_ms=int(coordinates["lock-wait-ms"]), freeze_ms=freeze.seconds * 1e3,
                    blocked_ms=writers.longest_pause(begin, end) * 1e3,
                    frozen_ms=(thaw - held) * 1e3,
                    answers_while_held=writers.count_between(held, thaw), tables={},
                    coordinates=coordinates),
            image, writers.acknowledged(held))
