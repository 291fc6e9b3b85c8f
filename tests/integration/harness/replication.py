# SPDX-License-Identifier: GPL-2.0-or-later
"""A primary that is written to, and a replica that applies it in parallel."""

import threading

import pymysql

from .waiting import wait_until

ADDRESS = "127.0.0.1"
APPLIERS = 4

OPTIONS = {
    "MariaDB": ["--log-slave-updates", "--slave-parallel-mode=optimistic",
                f"--slave-parallel-threads={APPLIERS}", "--gtid-strict-mode=ON"],
    "MySQL": ["--gtid-mode=ON", "--enforce-gtid-consistency=ON",
              f"--replica-parallel-workers={APPLIERS}"],
}
RESET = {"MariaDB": ["RESET MASTER", "SET GLOBAL gtid_slave_pos = ''"],
         "MySQL": ["RESET BINARY LOGS AND GTIDS"]}
START = {
    "MariaDB": ["CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER ="
                " 'applier', MASTER_PASSWORD = 'applier', MASTER_USE_GTID = slave_pos",
                "START SLAVE"],
    "MySQL": ["CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{host}', SOURCE_PORT = {port},"
              " SOURCE_USER = 'applier', SOURCE_PASSWORD = 'applier', SOURCE_AUTO_POSITION = 1,"
              " GET_SOURCE_PUBLIC_KEY = 1",
              "START REPLICA"],
}
STATUS = {"MariaDB": ("SHOW SLAVE STATUS", "Relay_Master_Log_File", "Exec_Master_Log_Pos"),
          "MySQL": ("SHOW REPLICA STATUS", "Relay_Source_Log_File", "Exec_Source_Log_Pos")}


def options(flavour, number, port):
    """Of the server `number`, which listens on `port`."""
    return [*OPTIONS[flavour.FLAVOUR], "--skip-networking=OFF", f"--bind-address={ADDRESS}",
            f"--port={port}", f"--server-id={number}"]


class Pair:
    """Two servers of the same contents, that were started with options()."""

    def __init__(self, primary, replica, port):
        self.primary = primary
        self.replica = replica
        kind = primary.FLAVOUR
        primary.sql("CREATE USER applier@'%' IDENTIFIED BY 'applier'",
                    "GRANT REPLICATION SLAVE ON *.* TO applier@'%'")
        for server in (primary, replica):
            server.sql(*RESET[kind])
        replica.sql(*(text.format(host=ADDRESS, port=port) for text in START[kind]))
        self._status = STATUS[kind]
        self._stop = threading.Event()
        self._threads = []

    def executed(self):
        """(file, position) of the primary's log that the replica has executed."""
        statement, file, position = self._status
        connection = self.replica.connect(cursorclass=pymysql.cursors.DictCursor)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        return row[file], str(row[position])

    def write(self, writers):
        """So many clients write to the primary, each to a table of its own."""
        self.primary.sql("CREATE DATABASE pair",
                         *(f"CREATE TABLE pair.t{i} (id INT PRIMARY KEY, note VARCHAR(80))"
                           for i in range(writers)))
        for i in range(writers):
            thread = threading.Thread(target=self._write, args=(i, self.primary.connect()),
                                      daemon=True)
            thread.start()
            self._threads.append(thread)

    def _write(self, table, connection):
        number = 0
        with connection.cursor() as cursor:
            while not self._stop.is_set():
                number += 1
                cursor.execute(f"INSERT INTO pair.t{table} VALUES ({number}, 'a row')")
                self._stop.wait(0.002)

    def stop_writing(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def rows(self, server):
        try:
            return [server.sql(f"SELECT COUNT(*) FROM pair.t{i}")[0][0]
                    for i in range(len(self._threads))]
        except pymysql.err.ProgrammingError:
            return []                   # not created there yet

    def wait_for_rows(self, more):
        """Until the replica has so many more."""
        before = sum(self.rows(self.replica))
        wait_until(lambda: sum(self.rows(self.replica)) >= before + more, "the replica applies", 30)

    def wait_until_equal(self):
        wait_until(lambda: self.rows(self.replica) == self.rows(self.primary),
                   "the replica has caught up", 30)
