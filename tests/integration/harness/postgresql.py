# SPDX-License-Identifier: GPL-2.0-or-later
"""A PostgreSQL cluster of our own, and what can be seen and done from beside it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg2

from .process import go_on, lives, spawn, stop
from .waiting import wait_until

# A user that every system has, and that is not the one of our daemon.
USER = "daemon"
PASSWORD = "not-to-be-seen"
SMALL = {"shared_buffers": "16MB", "max_connections": "20", "max_worker_processes": "2",
         "autovacuum": "off", "min_wal_size": "2MB", "max_wal_size": "64MB",
         # the default only from 14 on
         "password_encryption": "scram-sha-256"}
# who may come in: the daemon's user by its socket, and a role with a password
HBA = """\
local all         postgres trust
local replication postgres trust
local all         nobody   peer
local all         all      scram-sha-256
host  all         all      127.0.0.1/32 scram-sha-256
"""


def bin_directory():
    """Of the server under test: $QUIESCED_POSTGRESQL_BIN, or the newest of Debian's."""
    named = os.environ.get("QUIESCED_POSTGRESQL_BIN")
    if named:
        return Path(named)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"),
                   key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("no PostgreSQL server in /usr/lib/postgresql")
    return found[-1].parent


def _run(command, log):
    """As USER, with its words in the file `log`."""
    process = spawn(command, log, user=USER, environment={"LC_ALL": "C"})
    if process.wait(timeout=120) != 0:
        raise RuntimeError(f"{command[0]} failed: {Path(log).read_text()[-2000:]}")


def template(directory):
    """A fresh data directory, made once for all processes that share `directory`."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    data = directory / "data"
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory / "done"
        if not done.exists():
            data.mkdir(mode=0o700)
            subprocess.run(["chown", USER, data], check=True)
            _run([bin_directory() / "initdb", "-D", data, "-U", "postgres", "-A", "trust",
                  "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"],
                 directory / "log")
            (data / "pg_hba.conf").write_text(HBA)
            done.touch()
    return data


def copy_template(source, to):
    subprocess.run(["cp", "-a", "--reflink=auto", source, to], check=True)


class PostgreSQL:
    """One server over `datadir`; its other files lie in `directory`."""

    def __init__(self, datadir, directory, name="postgresql", **settings):
        self.datadir = Path(datadir)
        self.directory = Path(directory)
        self.name = name
        self.settings = {**SMALL, **settings}
        self.log = self.directory / f"{name}.log"
        self.process = None
        self._connections = []

    def start(self):
        self.spawn()
        wait_until(self._ready, f"{self.name} answers", seconds=60, step=0.005)
        return self

    def spawn(self):
        """Starts it and does not wait."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        subprocess.run(["chown", USER, self.directory, self.log], check=True)
        settings = {"unix_socket_directories": self.directory, "listen_addresses": "",
                    "log_line_prefix": "%p %m ", "log_checkpoints": "on", **self.settings}
        command = [bin_directory() / "postgres", "-D", self.datadir]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.process = spawn(command, self.log, user=USER, environment={"LC_ALL": "C"})

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.log.read_text()[-2000:]}")
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def conninfo(self, user="quiesced", **more):
        """For the plugin's configuration."""
        more = {"host": self.directory, "user": user, "dbname": "postgres", **more}
        return " ".join(f"{key}={value}" for key, value in more.items())

    def connect(self, user="postgres"):
        """A session of its own, in autocommit."""
        connection = psycopg2.connect(host=str(self.directory), user=user, dbname="postgres",
                                      port=self.settings.get("port", 5432))
        connection.autocommit = True
        self._connections.append(connection)
        return connection

    def sql(self, *statements):
        """The rows of the last statement, each a tuple, from a session of its own."""
        rows = []
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def value(self, expression):
        return self.sql(f"SELECT {expression}")[0][0]

    @property
    def major(self):
        return int(self.value("current_setting('server_version_num')")) // 10000

    def create_role(self, name="quiesced", rights=True):
        """A role for quiesced, with the rights that the manual asks for or none."""
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        if rights:
            self.sql(f"GRANT pg_read_all_settings TO {name}",
                     f"GRANT pg_checkpoint TO {name}" if self.major >= 15
                     else f"ALTER ROLE {name} SUPERUSER")

    def sessions(self, role="quiesced"):
        """(pid, state, query) of the sessions of `role`."""
        return self.sql("SELECT pid, state, query FROM pg_stat_activity"
                        f" WHERE usename = '{role}'")

    def wait_for_no_session(self, role="quiesced", seconds=2):
        wait_until(lambda: not self.sessions(role), f"no session of '{role}' is left", seconds)

    def child(self, name):
        """The pid of the server's process whose title has `name`: "checkpointer"."""
        def find():
            for pid in self.children():
                with contextlib.suppress(OSError):
                    if name in Path(f"/proc/{pid}/cmdline").read_text():
                        return pid
            return None
        return wait_until(find, f"the process '{name}' of {self.name}")

    def children(self):
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    found.append(int(path.parts[2]))
        return found

    @contextlib.contextmanager
    def stopped(self, name):
        """One of the server's processes does nothing meanwhile."""
        pid = self.child(name)
        stop(pid)
        try:
            yield
        finally:
            go_on(pid)

    def crash(self):
        """As the kernel's out-of-memory killer would, with all of its processes."""
        if self.process is None:
            return
        pids = self.children()
        for pid in [self.process.pid, *pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        wait_until(lambda: not [pid for pid in pids if lives(pid)], f"{self.name} is gone")

    def stop(self, number=signal.SIGQUIT):
        """At once by default; SIGINT makes a clean end."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self):
        for connection in self._connections:
            with contextlib.suppress(Exception):
                connection.close()
        self._connections.clear()
        self.stop()


def configure(house, server, name="main", password=PASSWORD, conninfo=None, **options):
    """`server` becomes an app of `house`."""
    if password is not None:
        options["password"] = password
    house.app(name, plugin="postgresql", conninfo=conninfo or server.conninfo(), **options)


def standby_of(primary, directory, name="standby"):
    """A started server that replays what `primary` writes."""
    datadir = primary.datadir.parent / f"{name}-data"
    copy = Path(directory) / f"{name}-copy.log"
    subprocess.run(["install", "-d", "-o", USER, "-m", "700", datadir], check=True)
    # pg_basebackup is not in every package: the same by hand, from a session of the primary
    with contextlib.closing(primary.connect()) as connection, connection.cursor() as cursor:
        old = primary.major < 15
        cursor.execute("SELECT pg_start_backup('standby', true, false)" if old
                       else "SELECT pg_backup_start('standby', true)")
        _run(["cp", "-a", f"{primary.datadir}/.", datadir], copy)
        cursor.execute("SELECT labelfile FROM pg_stop_backup(false, false)" if old
                       else "SELECT labelfile FROM pg_backup_stop(false)")
        (datadir / "backup_label").write_text(cursor.fetchone()[0])
    for leftover in ("postmaster.pid", "postmaster.opts"):
        (datadir / leftover).unlink(missing_ok=True)
    (datadir / "standby.signal").touch()
    subprocess.run(["chown", USER, datadir / "backup_label", datadir / "standby.signal"],
                   check=True)
    standby = PostgreSQL(datadir, Path(directory) / name, name,
                         primary_conninfo=f"host={primary.directory} user=postgres",
                         hot_standby="on")
    return standby.start()


def measure_start(server):
    """Starts `server` after a crash: (seconds until it answers, bytes of redo it replayed)."""
    begin = time.monotonic()
    server.start()
    return time.monotonic() - begin, redo_bytes(server.log.read_text())


def redo_bytes(log):
    """From the last "redo starts at" to "redo done at"."""
    begin = end = None
    for line in log.splitlines():
        if "redo starts at" in line:
            begin = _lsn(line.split("redo starts at ")[1].split()[0])
        elif "redo done at" in line:
            end = _lsn(line.split("redo done at ")[1].split()[0])
    return end - begin if begin is not None and end is not None else 0


def _lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
