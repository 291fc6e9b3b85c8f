# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds the database in one round of the comparison, and its hook."""

import os
import shutil
import subprocess
from pathlib import Path

from harness import programs
from harness.house import House
from harness.process import spawn
from harness.waiting import wait_until

HERE = Path(__file__).resolve().parent
STOCK_HOOK = Path("/etc/qemu/fsfreeze-hook")
STOCK_SCRIPTS = Path("/etc/qemu/fsfreeze-hook.d")
HOUSES = Path("/run")           # where the runtime directory of an installation is
USER = "holder"
PASSWORD = "not-to-be-seen"


def bind(directory, over):
    """In this namespace alone, until unbind()."""
    subprocess.run(["mount", "--bind", directory, over], check=True)


def unbind(path):
    subprocess.run(["umount", path], check=True)


class Contender:
    """Without a hook at all: what freezing costs by itself."""

    name = "none"
    title = "no hook"
    locks = False
    hook = None

    def __init__(self, directory, disk, server):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.disk = disk
        self.server = server

    def environment(self):
        return {}

    def start(self):
        pass

    def close(self):
        pass


def client(server):
    return f"mysql --no-defaults --user=root --socket={server.socket}"


class Stock(Contender):
    """The hook as the distribution installs it, with a script like QEMU's sample."""

    name = "stock"
    title = "stock hook, sample script"
    locks = True
    hook = STOCK_HOOK

    def environment(self):
        return {"MYSQL_CLIENT": client(self.server),
                "FLUSH_FIFO": str(self.directory / "flush.fifo")}

    def start(self):
        scripts = self.directory / "fsfreeze-hook.d"
        scripts.mkdir()
        shutil.copy(HERE / "flush-script", scripts / "mysql-flush")
        bind(scripts, STOCK_SCRIPTS)

    def close(self):
        unbind(STOCK_SCRIPTS)


class Naive(Contender):
    """mysql -e: the lock is gone when the hook is."""

    name = "naive"
    title = "naive mysql -e"
    hook = HERE / "naive-hook"

    def environment(self):
        return {"MYSQL_CLIENT": client(self.server)}


class Holder(Contender):
    """The least that can hold a lock, in C (holder.c)."""

    name = "holder"
    title = "bare C holder"
    locks = True

    def __init__(self, directory, disk, server):
        super().__init__(directory, disk, server)
        self.hook = programs.program("bench/ask")
        self._socket = self.directory / "holder.sock"
        self._process = None

    def environment(self):
        return {"HOLDER_SOCKET": str(self._socket)}

    def start(self):
        self._process = spawn([programs.program("bench/holder"), self._socket,
                               self.server.socket, USER, PASSWORD], self.directory / "log")
        wait_until(self._socket.exists, "the holder listens")

    def close(self):
        self._process.kill()
        self._process.wait()


class Quiesced(Contender):
    """Ours, as it comes: record and log file on the disk that is frozen."""

    name = "quiesced"
    title = "quiesced"
    locks = True
    settings = {}

    def __init__(self, directory, disk, server):
        super().__init__(directory, disk, server)
        self.hook = programs.program("fsfreeze-hook")
        self.house = House(HOUSES / self.name, state=disk.mountpoint / self.name)
        self.house.set(**self.settings)
        self.house.app("main", server, user=USER, password=PASSWORD)

    def environment(self):
        return {**self.house.environment(),
                "QUIESCED_LOG_FILE": str(self.disk.mountpoint / f"{self.name}.log")}

    def start(self):
        self.house.daemon.start()

    def close(self):
        self.house.close()
        shutil.rmtree(self.house.directory)


class QuiescedWithoutSync(Quiesced):
    """The same with sync = no."""

    name = "quiesced-nosync"
    title = "quiesced, sync = no"
    settings = {"sync": "no"}


ALL = (Contender, Stock, Holder, Naive, Quiesced, QuiescedWithoutSync)


def available():
    """Those that can run here."""
    if STOCK_HOOK.exists():
        return list(ALL)
    print(f"There is no {STOCK_HOOK}: the stock hook is left out", flush=True)
    return [one for one in ALL if one is not Stock]


def environment(contender):
    return {**os.environ, **contender.environment()}
