# SPDX-License-Identifier: GPL-2.0-or-later
"""A MariaDB server of our own, and what can be seen and done from beside it."""

import contextlib
import fcntl
import re
import signal
import subprocess
import threading
from pathlib import Path

import pymysql

from .process import spawn
from .waiting import wait_until

# A user that every system has, and that is not the one of our daemon.
USER = "daemon"
SMALL = ["--innodb-buffer-pool-size=32M", "--innodb-log-file-size=4M"]

LOCK_WAIT_TIMEOUT = 1205


def template(directory, flavour=None):
    """A fresh data directory, made once for all processes that share `directory`."""
    flavour = flavour or MariaDB
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "data"
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory / "done"
        if not done.exists():
            data.mkdir()
            with open(directory / "log", "w") as log:
                subprocess.run(flavour.initialize(data), check=True, stdout=log,
                               stderr=subprocess.STDOUT)
            # each copy is a server of its own, and makes an identity of its own
            (data / "auto.cnf").unlink(missing_ok=True)
            done.touch()
    return data


def copy_template(source, to):
    subprocess.run(["cp", "-a", "--reflink=auto", source, to], check=True)


class MariaDB:
    """One server process over `datadir`; its other files lie in `directory`. `options` are
    more of its own."""

    FLAVOUR = "MariaDB"
    WAITING = "Waiting for backup lock"     # the state of whom a lock of ours holds up
    LEAST_WAIT = 0                          # seconds, of lock_wait_timeout
    BINLOG_STATUS = "SHOW MASTER STATUS"
    PRIVILEGES = "RELOAD, BINLOG MONITOR, SLAVE MONITOR, PROCESS"
    BY_SOCKET = "IDENTIFIED VIA unix_socket"

    def __init__(self, datadir, directory, name="mariadb", options=()):
        self.datadir = Path(datadir)
        self.directory = Path(directory)
        self.name = name
        self.options = list(options)
        self.socket = self.directory / f"{name}.sock"
        self.general_log = self.directory / f"{name}-general.log"
        self.error_log = self.directory / f"{name}.log"
        self.process = None
        self._connections = []

    @staticmethod
    def initialize(data):
        """The command that makes the data directory `data`."""
        return ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--tmpdir={data}",
                f"--user={USER}", "--skip-test-db", "--auth-root-authentication-method=normal",
                "--skip-name-resolve", *SMALL]

    def command(self):
        return ["mariadbd", *self.common_options(), *SMALL]

    def common_options(self):
        """Those that each flavour has."""
        return ["--no-defaults", f"--datadir={self.datadir}",
                # its own: a server that starts deletes what others have there
                f"--tmpdir={self.directory}", f"--socket={self.socket}",
                f"--pid-file={self.datadir}/{self.name}.pid", "--skip-networking",
                "--skip-name-resolve", "--performance-schema=OFF", "--myisam-recover-options=OFF",
                "--key-buffer-size=16M", "--server-id=1", "--log-bin=binlog", "--general-log=ON",
                f"--general-log-file={self.general_log}"]

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        for log in (self.general_log, self.error_log):
            log.touch()
        subprocess.run(["chown", "-R", USER, self.directory], check=True)
        self.process = spawn([*self.command(), *self.options], self.error_log, user=USER)
        wait_until(self._ready, f"{self.name} answers", seconds=60)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.error_log.read_text()[-2000:]}")
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def connect(self, user="root", password="", **more):
        """A session of its own, in autocommit."""
        connection = pymysql.connect(unix_socket=str(self.socket), user=user,
                                     password=password, autocommit=True, **more)
        self._connections.append(connection)
        return connection

    def sql(self, *statements):
        """The rows of the last statement, each a tuple, from a session of its own."""
        rows = ()
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall()
        return rows

    def grant_user(self, name, password, privileges=None):
        """A user for quiesced. Nothing of it stands in the general log."""
        self.sql(f"CREATE USER {name}@localhost IDENTIFIED BY '{password}'",
                 f"GRANT {privileges or self.PRIVILEGES} ON *.* TO {name}@localhost")

    def binlog_status(self):
        return self.sql(self.BINLOG_STATUS)

    def create_probe(self):
        """The table that can_write() writes into."""
        self.sql("CREATE DATABASE probe",
                 "CREATE TABLE probe.probe (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB",
                 "CREATE TABLE probe.myisam (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=MyISAM",
                 "CREATE TABLE probe.long_one (id INT) ENGINE=MyISAM",
                 "INSERT INTO probe.long_one VALUES (1)")

    def can_write(self, seconds=0):
        """Does an INSERT of another session pass within whole `seconds`? With 0 it does
        not wait at all."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET SESSION lock_wait_timeout={seconds}")
            for table in ("probe", "myisam"):
                try:
                    cursor.execute(f"INSERT INTO probe.{table} () VALUES ()")
                except pymysql.err.OperationalError as error:
                    if error.args[0] != LOCK_WAIT_TIMEOUT:
                        raise
                    return False
        return True

    def sessions(self, user=None):
        """Ids and states of the other sessions, of `user` alone if given."""
        rows = self.sql("SELECT id, user, command, state, info FROM information_schema.processlist"
                        " WHERE id <> CONNECTION_ID() AND command <> 'Daemon'")
        return {row[0]: row[1:] for row in rows if user is None or row[1] == user}

    def wait_for_state(self, state, seconds=10):
        """Until some session is in `state`; its id."""
        def find():
            for number, row in self.sessions().items():
                if row[2] == state:
                    return number
            return None
        return wait_until(find, f"a session in state '{state}'", seconds)

    def wait_for_states(self, state, number, seconds=10):
        """Until so many sessions are in `state`."""
        wait_until(lambda: [row[2] for row in self.sessions().values()].count(state) >= number,
                   f"{number} sessions in state '{state}'", seconds)

    def statements(self):
        """(session id, statement) of the general log, in order."""
        line = re.compile(r"^(?:\d{6} +\d+:\d\d:\d\d|\d{4}-\S+)?\s+(\d+) "
                          r"(?:Query|Quit|Connect)\s*(.*)$")
        found = (line.match(text) for text in self.general_log.read_text().splitlines())
        return [(int(match[1]), match[2]) for match in found if match]

    def kill(self):
        """As the kernel's out-of-memory killer would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self):
        for connection in self._connections:
            with contextlib.suppress(Exception):
                connection._force_close()
        self._connections.clear()
        self.kill()


class LongStatement:
    """An UPDATE of a MyISAM table that lasts until stop(): every lock waits for it."""

    def __init__(self, server):
        self._server = server
        self._connection = server.connect()
        self._id = self._connection.thread_id()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        server.wait_for_state("User sleep")

    def _run(self):
        with contextlib.suppress(pymysql.err.Error), self._connection.cursor() as cursor:
            cursor.execute("UPDATE probe.long_one SET id = id + SLEEP(60)")

    def stop(self):
        with contextlib.suppress(pymysql.err.Error):
            self._server.sql(f"KILL {self._id}")
        self._thread.join(timeout=10)


def check_table(server, table):
    """'clean', or what CHECK TABLE complains of."""
    rows = server.sql(f"CHECK TABLE {table}")
    complaints = [row for row in rows if not (row[2] == "status" and row[3] == "OK")]
    complaints.sort(key=lambda row: row[2] != "error")
    return complaints[0][3] if complaints else "clean"
