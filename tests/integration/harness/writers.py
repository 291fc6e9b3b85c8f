# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that write without a pause and remember what was acknowledged."""

import threading
import time

import pymysql

from .waiting import wait_until

TABLES = {
    "InnoDB": "writers.innodb",
    "MyISAM": "writers.myisam",
    "MyISAM DELAY_KEY_WRITE": "writers.delayed",
}
# only MariaDB has it
ARIA = {"Aria": "writers.aria"}
OPTIONS = {
    "Aria": "ENGINE=Aria",
    "InnoDB": "ENGINE=InnoDB",
    "MyISAM": "ENGINE=MyISAM",
    "MyISAM DELAY_KEY_WRITE": "ENGINE=MyISAM DELAY_KEY_WRITE=1",
}


class Writer:
    """One session on one table."""

    def __init__(self, server, table):
        self.table = table
        self.acknowledged = []          # (id, monotonic time of the answer)
        self.error = None
        self._connection = server.connect()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def _run(self):
        number = 0
        try:
            with self._connection.cursor() as cursor:
                while not self._stop.is_set():
                    number += 1
                    cursor.execute(f"INSERT INTO {self.table} VALUES"
                                   f" ({number}, 'row {number} of a writer that never rests')")
                    self.acknowledged.append((number, time.monotonic()))
                    self._stop.wait(0.001)
        except (pymysql.err.Error, OSError) as error:
            self.error = error

    def stop(self):
        self._stop.set()
        self._thread.join(timeout=20)


def create_tables(server, tables=None):
    """What the writers write into."""
    server.sql("CREATE DATABASE writers",
               *(f"CREATE TABLE {table} (id INT PRIMARY KEY, note VARCHAR(80), KEY (note))"
                 f" {OPTIONS[kind]}" for kind, table in (tables or TABLES).items()))


class Writers:
    """A writer on each of `tables`, TABLES by default."""

    def __init__(self, server, tables=None):
        create_tables(server, tables)
        self.writers = {kind: Writer(server, table)
                        for kind, table in (tables or TABLES).items()}
        for writer in self.writers.values():
            writer.start()

    def wait_for_rows(self, rows, after=0.0, seconds=30):
        """Until each writer has `rows` more acknowledged since the monotonic `after`."""
        def enough():
            for writer in self.writers.values():
                if writer.error:
                    raise AssertionError(f"a writer of {writer.table} failed: {writer.error}")
                acknowledged = writer.acknowledged
                if len(acknowledged) < rows or acknowledged[-rows][1] <= after:
                    return False
            return True
        wait_until(enough, f"{rows} rows of each writer", seconds)

    def acknowledged(self, before):
        """Per kind of table the ids that were acknowledged before a monotonic time."""
        return {kind: {number for number, when in list(writer.acknowledged) if when < before}
                for kind, writer in self.writers.items()}

    def count_between(self, begin, end):
        return sum(begin < when < end for writer in self.writers.values()
                   for _, when in list(writer.acknowledged))

    def longest_pause(self, begin, end):
        """Seconds of the largest gap between two answers that reaches into the time
        from begin to end, over all writers."""
        longest = 0.0
        for writer in self.writers.values():
            times = [when for _, when in list(writer.acknowledged)]
            for one, next_one in zip(times, times[1:]):
                if next_one > begin and one < end:
                    longest = max(longest, next_one - one)
        return longest

    def stop(self):
        for writer in self.writers.values():
            writer._stop.set()
        for writer in self.writers.values():
            writer.stop()
