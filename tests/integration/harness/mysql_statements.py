# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements of other clients that a lock may meet."""

import threading
import time

import pymysql


class Statement:
    """`sql`, run by a session of `user` from now to its end or stop()."""

    def __init__(self, server, sql, state="User sleep", user="root"):
        self._server = server
        self.connection = server.connect(user)
        self.id = self.connection.thread_id()
        self.error = None
        self.ended = None               # the monotonic time of its end
        self._thread = threading.Thread(target=self._run, args=(sql,), daemon=True)
        self._thread.start()
        if state:
            server.wait_for_state(state)
        self.began = time.monotonic()

    def _run(self, sql):
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql)
                cursor.fetchall()
        except pymysql.err.Error as error:
            self.error = error
        self.ended = time.monotonic()

    def grow_older(self, seconds):
        """Returns when it has run for so long."""
        time.sleep(max(0.0, self.began + seconds - time.monotonic()))
        return self

    def wait(self, timeout=10):
        self._thread.join(timeout)

    def stop(self):
        try:
            self._server.sql(f"KILL {self.id}")
        except pymysql.err.Error:
            pass                        # it has ended
        self.wait()


def long_write(server, seconds=60, user="root"):
    """An UPDATE of an InnoDB table."""
    server.sql("INSERT INTO probe.probe () VALUES ()")
    return Statement(server, f"UPDATE probe.probe SET id = id + SLEEP({seconds}) LIMIT 1",
                     user=user)


def long_read(server, seconds=60):
    return Statement(server, f"SELECT SLEEP({seconds}) FROM probe.long_one")


def our_statements(server, user="quiesced"):
    """What our sessions have said, by the general log, in order."""
    ids = {number for number, text in server.statements() if text.startswith(f"{user}@")}
    return [text for number, text in server.statements() if number in ids]
