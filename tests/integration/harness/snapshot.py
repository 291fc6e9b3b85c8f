# SPDX-License-Identifier: GPL-2.0-or-later
"""A copy of an image, looked at with a second server."""

import dataclasses

import pymysql

from .filesystem import Filesystem
from .mariadb import MariaDB, check_table
from .writers import ARIA, TABLES


@dataclasses.dataclass
class Table:
    state: str                  # "clean", or the complaint of CHECK TABLE
    acknowledged: int           # rows that must be there
    lost: int | None            # of these are not; None: the table cannot be read

    @property
    def clean(self):
        return self.state == "clean"


class Snapshot:
    """Mounts `image` and starts a server, of the kind `flavour`, on the directory `data` in
    it."""

    def __init__(self, image, directory, flavour=MariaDB, options=()):
        self.filesystem = Filesystem(image, directory / "snapshot")
        self.server = flavour(self.filesystem.mountpoint / "data", directory, "snapshot",
                              options)
        try:
            self.server.start()
        except BaseException:
            self.close()
            raise

    def tables(self, acknowledged):
        """What became of each table, given the ids that must be in it."""
        return {kind: self._table({**TABLES, **ARIA}[kind], numbers)
                for kind, numbers in acknowledged.items()}

    def _table(self, table, numbers):
        state = check_table(self.server, table)
        try:
            present = {row[0] for row in self.server.sql(f"SELECT id FROM {table}")}
        except pymysql.err.Error:
            return Table(state, len(numbers), None)
        return Table(state, len(numbers), len(numbers - present))

    def close(self):
        self.server.close()
        self.filesystem.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
