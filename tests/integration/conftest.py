# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures. Every process of the test run lives in a mount namespace of its own."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from harness import mariadb, namespace
from harness.filesystem import Filesystem
from harness.flavour import flavour
from harness.house import House
from harness.journal import Journal
from harness.proxy import Proxy

SHARED = "QUIESCED_TEST_DIRECTORY"


def pytest_configure(config):
    """The first process makes the directory that all others share."""
    if os.geteuid() != 0:
        pytest.exit("these tests need root: they mount, freeze and change users", 77)
    os.umask(0o022)
    namespace.enter()
    # As qemu-ga: ignored, and so through exec in hook and scripts.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="quiesced-test.")
        os.chmod(os.environ[SHARED], 0o755)
        config.add_cleanup(lambda: shutil.rmtree(os.environ[SHARED], ignore_errors=True))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what hook, daemon and journal said."""
    report = (yield).get_result()
    if report.failed:
        for title, text in item.stash.get(_witnesses, {}).items():
            report.sections.append((title, text()))


_witnesses = pytest.StashKey()


def _witness(request, title, text):
    request.node.stash.setdefault(_witnesses, {})[title] = text


def _tail(path):
    return path.read_text(errors="replace")[-4000:] if path.exists() else "(none)"


@pytest.fixture
def directory():
    """A directory of this test alone; short, since socket paths are."""
    path = Path(tempfile.mkdtemp(prefix="t.", dir=os.environ[SHARED]))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def journal(request):
    """What hook and daemon tell the journal."""
    journal = Journal()
    _witness(request, "journal", lambda: "\n".join(journal.messages()))
    yield journal
    journal.close()


@pytest.fixture
def house(request, directory, journal):
    """An installation with nothing configured and the daemon not started."""
    house = House(directory)
    house.set(sync="no", retry_after="0s")
    _witness(request, "daemon's stderr", lambda: _tail(house.daemon.log))
    _witness(request, "log file", lambda: _tail(house.log))
    yield house
    house.close()
    assert not house.complaints()


@pytest.fixture
def new_server(request, directory):
    """Makes servers: new_server("first")."""
    servers = []

    def make(name, datadir=None, options=()):
        datadir = datadir or directory / f"{name}-data"
        kind = flavour()
        template = mariadb.template(Path(os.environ[SHARED]) / "template", kind)
        mariadb.copy_template(template, datadir)
        server = kind(datadir, directory / name, name, options)
        servers.append(server)
        _witness(request, f"server {name}", lambda: _tail(server.error_log))
        server.start()
        server.create_probe()
        server.grant_user("quiesced", "secret")
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server(new_server):
    """A server with a user for quiesced."""
    return new_server("main")


@pytest.fixture
def running(house, server):
    """The house with `server` as its app main, and its daemon."""
    house.app("main", server, user="quiesced", password="secret")
    house.daemon.start()
    return house


@pytest.fixture
def proxy(directory, server):
    """A proxy before `server`."""
    proxy = Proxy(directory / "proxy.sock", server.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(house, server, proxy):
    """The house with its app main behind `proxy`, and its daemon."""
    house.app("main", socket=proxy.path, user="quiesced", password="secret")
    house.daemon.start()
    return house


@pytest.fixture
def new_postgresql(request, directory):
    """Makes PostgreSQL servers: new_postgresql("first", fsync="off"). Their data is in
    memory, where fsync takes no time."""
    from harness import postgresql
    servers = []
    memory = Path(tempfile.mkdtemp(prefix="postgresql.", dir="/run"))
    memory.chmod(0o755)

    def make(name, rights=True, **settings):
        datadir = memory / f"{name}-data"
        shared = Path(os.environ[SHARED]) / "postgresql-template"
        postgresql.copy_template(postgresql.template(shared), datadir)
        server = postgresql.PostgreSQL(datadir, directory / name, name, **settings)
        servers.append(server)
        _witness(request, f"server {name}", lambda: _tail(server.log))
        server.start()
        server.create_role(rights=rights)
        return server

    yield make
    for server in servers:
        server.close()
    shutil.rmtree(memory, ignore_errors=True)


@pytest.fixture
def postgresql(new_postgresql):
    """A PostgreSQL with a role for quiesced."""
    return new_postgresql("pg")


@pytest.fixture
def running_pg(house, postgresql):
    """The house with `postgresql` as its app main, and its daemon."""
    from harness.postgresql import configure
    configure(house, postgresql)
    house.daemon.start()
    return house


@pytest.fixture
def new_filesystem(directory):
    """Makes mounted filesystems: new_filesystem("name", megabytes)."""
    filesystems = []

    def make(name, megabytes):
        filesystem = Filesystem(directory / f"{name}.img", directory / name, megabytes)
        filesystems.append(filesystem)
        return filesystem

    yield make
    for filesystem in filesystems:
        filesystem.close()
