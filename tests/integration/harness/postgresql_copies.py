# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies of a disk at one instant, on which a PostgreSQL is written to: what is missing in
them, and how long they take to start."""

import dataclasses
import shutil
import threading
from pathlib import Path

import psycopg2

from . import postgresql
from .filesystem import Filesystem
from .house import House
from .waiting import wait_until

DISK_MEGABYTES = 1000
POOL_MEGABYTES = 6000
WRITERS = 3
# what the server would not write out by itself while a copy is being prepared
SETTINGS = {"max_wal_size": "1GB", "checkpoint_timeout": "30min", "shared_buffers": "128MB"}


@dataclasses.dataclass
class Copy:
    frozen: bool                # by FIFREEZE; otherwise cloned amid the writing
    hooked: bool
    acknowledged: int           # rows that must be there
    lost: int                   # of these are not
    redo: int                   # bytes that were replayed
    start: float                # seconds until the server answered


class _Writer(threading.Thread):
    """A session that inserts 1, 2, 3 ... into its own table, each in a transaction."""

    def __init__(self, server, table):
        super().__init__(daemon=True)
        self.table = table
        self.last = 0                   # acknowledged
        self.error = None
        self.ending = threading.Event()
        server.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, note text)")
        self._connection = server.connect()

    def run(self):
        try:
            with self._connection.cursor() as cursor:
                while not self.ending.is_set():
                    cursor.execute(f"INSERT INTO {self.table} VALUES (%s, repeat('x', 200))",
                                   (self.last + 1,))
                    self.last += 1
                    self.ending.wait(0.001)
        except psycopg2.Error as error:
            self.error = error


class Copies:
    """with Copies(directory, template) as copies: copies.take(frozen=True, hooked=True)"""

    def __init__(self, directory, template, patience=180):
        self.directory = Path(directory)
        self.directory.mkdir(mode=0o755)
        self._closers = []
        self._number = 0
        try:
            self._open(template, patience)
        except BaseException:
            self.close()
            raise

    def _open(self, template, patience):
        pool = self._add(Filesystem(self.directory / "pool.img", self.directory / "pool",
                                    POOL_MEGABYTES, kind="xfs", patience=patience))
        self.pool = pool.mountpoint
        self.disk = self._add(Filesystem(self.pool / "disk.img", self.directory / "disk",
                                         DISK_MEGABYTES, patience=patience))
        data = self.disk.mountpoint / "data"
        postgresql.copy_template(template, data)
        self.server = self._add(postgresql.PostgreSQL(data, self.directory / "server", "server",
                                                      **SETTINGS))
        self.server.start()
        self.server.create_role()
        self.server.sql("CREATE TABLE churn AS SELECT id, repeat('y', 100) AS note"
                        " FROM generate_series(1, 100000) AS id")
        self.house = self._add(House(self.directory / "house", plugins=()))
        self.house.set(retry_after="0s")
        postgresql.configure(self.house, self.server)
        self.house.daemon.start()
        self.writers = [_Writer(self.server, f"writer{number}") for number in range(WRITERS)]
        for writer in self.writers:
            writer.start()

    def _add(self, thing):
        self._closers.append(thing.close)
        return thing

    def churn(self, times):
        """Makes the server write what a copy would have to replay."""
        for _ in range(times):
            self.server.sql("UPDATE churn SET note = md5(random()::text) || repeat('z', 68)",
                            "VACUUM churn")

    def wait_for_rows(self, rows=20):
        """Until each writer has so many more."""
        goals = [(writer, writer.last + rows) for writer in self.writers]

        def reached():
            for writer, goal in goals:
                if writer.error:
                    raise AssertionError(f"{writer.table}: {writer.error}")
                if writer.last < goal:
                    return False
            return True
        wait_until(reached, f"{rows} rows of each writer", seconds=30)

    def take(self, frozen, hooked):
        self.wait_for_rows()
        self._number += 1
        image = self.pool / f"copy{self._number}.img"
        if hooked:
            answer = self.house.hook.freeze()
            assert answer.status == 0, answer
        try:
            if frozen:
                self.disk.freeze()
            acknowledged = {writer.table: writer.last for writer in self.writers}
            self.disk.clone(image)
        finally:
            self.disk.thaw()
        if hooked:
            answer = self.house.hook.thaw()
            assert answer.status == 0, answer
        try:
            return self._look_at(image, frozen, hooked, acknowledged)
        finally:
            image.unlink()

    def _look_at(self, image, frozen, hooked, acknowledged):
        name = f"copy{self._number}"
        with Filesystem(image, self.directory / name) as filesystem:
            data = filesystem.mountpoint / "data"
            # the pid in it is of a server that runs here, as it would not elsewhere
            (data / "postmaster.pid").unlink()
            server = postgresql.PostgreSQL(data, self.directory / f"{name}-server", name,
                                           **SETTINGS)
            try:
                start, redo = postgresql.measure_start(server)
                present = {table: {row[0] for row in server.sql(f"SELECT id FROM {table}")}
                           for table in acknowledged}
            finally:
                server.close()
        lost = sum(len(set(range(1, last + 1)) - present[table])
                   for table, last in acknowledged.items())
        shutil.rmtree(self.directory / f"{name}-server")
        return Copy(frozen, hooked, sum(acknowledged.values()), lost, redo, start)

    def close(self):
        for writer in getattr(self, "writers", ()):
            writer.ending.set()
        for writer in getattr(self, "writers", ()):
            writer.join(timeout=10)
        while self._closers:
            self._closers.pop()()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
