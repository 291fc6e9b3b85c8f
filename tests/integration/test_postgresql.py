# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL, from the freeze to the thaw, when nothing goes wrong but its settings."""

import contextlib
import re
import socket
import subprocess
import threading

import psycopg2
import pytest

from harness import programs
from harness.certificates import Authority
from harness.expect import failed
from harness.postgresql import PASSWORD, configure, standby_of
from harness.waiting import wait_until

def app(house, name="main"):
    return next(app for app in house.record()["apps"] if app["name"] == name)


def freeze(house):
    answer = house.hook.freeze()
    assert answer.status == 0, answer
    return app(house)


def thaw(house):
    answer = house.hook.thaw()
    assert answer.status == 0, answer
    assert house.record()["consistent"] is True


def cycle(house):
    """The app's part of the record, after a freeze and a thaw that succeed."""
    found = freeze(house)
    thaw(house)
    return found


def test_both_calls_succeed_and_say_nothing(running_pg):
    for answer in (running_pg.hook.freeze(), running_pg.hook.thaw()):
        assert answer.status == 0, answer
        assert answer.output == ""


def test_the_record_says_where_the_server_stood(running_pg, postgresql):
    found = cycle(running_pg)
    assert re.fullmatch(rf"PostgreSQL {postgresql.major}\.\d+", found["server"])
    assert found["method"] == "witness"
    assert not found.get("warnings")
    coordinates = found["coordinates"]
    lsn = re.compile(r"[0-9A-F]+/[0-9A-F]+")
    assert coordinates["system-identifier"] == str(
        postgresql.sql("SELECT system_identifier FROM pg_control_system()")[0][0])
    assert coordinates["timeline"] == "1"
    assert coordinates["in-recovery"] == "no"
    assert coordinates["data-directory"] == str(postgresql.datadir)
    assert re.fullmatch("00000001[0-9A-F]{16}", coordinates["wal-file"])
    assert all(lsn.fullmatch(coordinates[key])
               for key in ("insert-lsn", "write-lsn", "flush-lsn", "redo-lsn"))
    assert "replayed-lsn" not in coordinates


def test_a_checkpoint_is_made_before_the_hold(running_pg, postgresql):
    postgresql.sql("CREATE TABLE t AS SELECT generate_series(1, 20000) AS id")
    before = postgresql.sql("SELECT redo_lsn FROM pg_control_checkpoint()")[0][0]
    found = cycle(running_pg)
    assert found["coordinates"]["redo-lsn"] != before
    assert postgresql.value(f"pg_wal_lsn_diff('{found['coordinates']['insert-lsn']}',"
                            f" '{found['coordinates']['redo-lsn']}')") < 100000


def test_no_checkpoint_is_made_when_it_is_not_wanted(house, postgresql):
    configure(house, postgresql, checkpoint="no")
    house.daemon.start()
    before = postgresql.sql("SELECT redo_lsn FROM pg_control_checkpoint()")[0][0]
    assert cycle(house)["coordinates"]["redo-lsn"] == before


def test_writers_go_on_while_held(running_pg, postgresql):
    postgresql.sql("CREATE TABLE t (id int)")
    freeze(running_pg)
    postgresql.sql("INSERT INTO t VALUES (1)", "VACUUM t", "ALTER TABLE t ADD note text")
    thaw(running_pg)


def test_nothing_of_ours_is_left_after_the_thaw(running_pg, postgresql):
    freeze(running_pg)
    assert [row[1] for row in postgresql.sessions()] == ["idle"]
    thaw(running_pg)
    postgresql.wait_for_no_session()
    running_pg.daemon.wait_for_no_worker()
    assert not running_pg.marker.exists()


def test_a_role_known_by_its_socket_needs_no_password(house, postgresql):
    """The role is the daemon's user: conninfo names none."""
    postgresql.sql("CREATE ROLE nobody LOGIN")
    configure(house, postgresql, password=None, checkpoint="no",
              conninfo=f"host={postgresql.directory}")
    house.daemon.start()
    cycle(house)


def test_a_password_in_a_file_and_a_service(house, postgresql):
    file = house.directory / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o640)
    services = house.directory / "services"
    services.write_text(f"# ours\n[other]\nhost=/nowhere\n[pg]\nhost={postgresql.directory}\n"
                        "user=quiesced\ndbname=postgres\n")
    configure(house, postgresql, password=None, conninfo="service=pg",
              service_file=services, password_file=file)
    subprocess.run(["chgrp", str(programs.UNPRIVILEGED), file], check=True)
    house.daemon.start()
    cycle(house)
    file.chmod(0o644)
    failed(house.hook.freeze(), "main", str(file), "can be read by others")
    file.chmod(0o640)
    services.chmod(0o666)
    failed(house.hook.freeze(), "main", str(services), "writable")


def test_tcp_on_the_loopback(house, new_postgresql):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = new_postgresql("pg", listen_addresses="127.0.0.1", port=port)
    configure(house, server, conninfo=f"postgresql://quiesced@127.0.0.1:{port}/postgres")
    house.daemon.start()
    cycle(house)


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_tls(house, new_postgresql, mode):
    """As libpq has it; nothing is looked for where it is not named."""
    authority = Authority(house.directory / "tls")
    certificate, key = authority.issue("localhost", "DNS:localhost")
    subprocess.run(["chown", "daemon", certificate, key], check=True)
    key.chmod(0o600)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = new_postgresql("pg", listen_addresses="127.0.0.1", port=port, ssl="on",
                            ssl_cert_file=certificate, ssl_key_file=key)
    conninfo = f"host=localhost hostaddr=127.0.0.1 port={port} user=quiesced sslmode={mode}"
    if mode == "verify-full":
        conninfo += f" sslrootcert={authority.certificate}"
    configure(house, server, conninfo=conninfo)
    house.daemon.start()
    assert house.hook.freeze().status == 0
    pid = server.sessions()[0][0]
    assert server.sql(f"SELECT ssl FROM pg_stat_ssl WHERE pid = {pid}") == [(True,)]
    thaw(house)
    authority.certificate.chmod(0o666)
    if mode == "verify-full":
        failed(house.hook.freeze(), "main", str(authority.certificate), "writable")


def test_no_environment_of_the_library_counts(house, postgresql, monkeypatch):
    for name, value in {"PGHOST": "/nowhere", "PGUSER": "nobody", "PGSERVICE": "none",
                        "PGOPTIONS": "-c statement_timeout=1", "PGPASSFILE": "/none"}.items():
        monkeypatch.setenv(name, value)
    configure(house, postgresql)
    house.daemon.start()
    cycle(house)


@pytest.mark.parametrize("options, words", [
    ({"conninfo": "host=/run/postgresql password=" + PASSWORD}, ["conninfo", "password-file"]),
    ({"conninfo": f"postgresql://quiesced:{PASSWORD}@localhost/x"}, ["conninfo", "password"]),
    ({"conninfo": "host=db.example"}, ["db.example", "remote = yes", "IPAddressAllow="]),
    ({"conninfo": "host=/a,/b"}, ["one server"]),
    ({"conninfo": "host=/run/postgresql passfile=/x"}, ["passfile", "password-file"]),
    ({"conninfo": "service=pg"}, ["service-file"]),
    ({"conninfo": "hst=/run/postgresql"}, ["hst"]),
    ({"checkpoint": "maybe"}, ["maybe", "required"]),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_options_that_are_refused(house, options, words):
    house.app("main", plugin="postgresql", **options)
    house.daemon.start()
    answer = failed(house.hook.freeze(), "main", *words)
    assert PASSWORD not in answer.output


def test_the_password_stands_nowhere(running_pg, postgresql, journal):
    """Neither in an argument, an environment, a log nor a record."""
    freeze(running_pg)
    process = f"/proc/{running_pg.daemon.worker()}"
    seen = [open(f"{process}/cmdline").read(), open(f"{process}/environ").read()]
    thaw(running_pg)
    configure(running_pg, postgresql, password="x" + PASSWORD)
    seen.append(failed(running_pg.hook.freeze(), "main", "password authentication failed").output)
    seen += [running_pg.log.read_text(), (running_pg.state / "record.json").read_text(),
             running_pg.daemon.log.read_text(), *map(str, journal.entries)]
    assert not [text for text in seen if PASSWORD in text]


def test_the_servers_own_time_limits_do_not_end_the_hold(house, new_postgresql):
    settings = {"statement_timeout": "1s"}
    server = new_postgresql("pg")
    if server.major >= 14:
        settings["idle_session_timeout"] = "200ms"
    if server.major >= 17:
        settings["transaction_timeout"] = "200ms"
    for key, value in settings.items():
        server.sql(f"ALTER ROLE quiesced SET {key} = '{value}'")
    configure(house, server)
    house.daemon.start()
    freeze(house)
    with contextlib.closing(server.connect()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.6)")
    thaw(house)


# rights


def test_a_checkpoint_that_is_not_allowed_is_a_warning(house, new_postgresql):
    server = new_postgresql("pg", rights=False)
    configure(house, server)
    house.daemon.start()
    warnings = str(cycle(house)["warnings"])
    assert "CHECKPOINT" in warnings
    assert ("GRANT pg_checkpoint TO quiesced" if server.major >= 15 else "SUPERUSER") in warnings


def test_a_checkpoint_that_is_not_allowed_may_be_a_failure(house, new_postgresql):
    server = new_postgresql("pg", rights=False)
    configure(house, server, checkpoint="required")
    house.daemon.start()
    failed(house.hook.freeze(), "main",
           "GRANT pg_checkpoint TO quiesced" if server.major >= 15 else "SUPERUSER")
    server.wait_for_no_session()


# a checkpoint that does not end


def test_a_late_checkpoint_is_a_warning(running_pg, postgresql):
    running_pg.set(freeze_timeout="3s")
    with postgresql.stopped("checkpointer"):
        found = freeze(running_pg)
    assert "CHECKPOINT did not end within" in str(found["warnings"])
    thaw(running_pg)


def test_a_late_checkpoint_may_be_a_failure(house, postgresql):
    configure(house, postgresql, checkpoint="required")
    house.set(freeze_timeout="3s")
    house.daemon.start()
    with postgresql.stopped("checkpointer"):
        answer = failed(house.hook.freeze(), "main", "CHECKPOINT did not end within")
        assert answer.seconds < 3
        postgresql.wait_for_no_session()


def test_a_checkpoint_is_cancelled_with_its_freeze(running_pg, postgresql):
    with postgresql.stopped("checkpointer"):
        call = running_pg.hook.begin("freeze")
        wait_until(lambda: any("CHECKPOINT" == row[2] for row in postgresql.sessions()),
                   "the checkpoint runs")
        call.kill()
        postgresql.wait_for_no_session(seconds=1)
    assert "canceling statement due to user request" in postgresql.log.read_text()


# where the files are


def test_a_log_on_another_filesystem_is_a_warning(house, new_postgresql, new_filesystem,
                                                  directory):
    server = new_postgresql("pg")
    server.stop()
    disk = new_filesystem("wal", 64)
    subprocess.run(f"cp -a {server.datadir}/pg_wal/. {disk.mountpoint} &&"
                   f" mount --bind {disk.mountpoint} {server.datadir}/pg_wal &&"
                   f" chown --reference={server.datadir} {server.datadir}/pg_wal", shell=True,
                   check=True)
    try:
        server.start()
        configure(house, server)
        house.daemon.start()
        assert f"{server.datadir}/pg_wal" in str(cycle(house)["warnings"])
    finally:
        server.stop()
        subprocess.run(["umount", f"{server.datadir}/pg_wal"], check=True)


def test_a_tablespace_on_another_filesystem_is_a_warning(running_pg, postgresql, new_filesystem):
    disk = new_filesystem("space", 16)
    subprocess.run(["install", "-d", "-o", "daemon", disk.mountpoint / "here"], check=True)
    postgresql.sql(f"CREATE TABLESPACE elsewhere LOCATION '{disk.mountpoint}/here'")
    assert "tablespace 'elsewhere'" in str(cycle(running_pg)["warnings"])
    postgresql.stop()


def test_settings_that_make_a_copy_no_good_are_warnings(house, new_postgresql):
    server = new_postgresql("pg", fsync="off", full_page_writes="off")
    configure(house, server)
    house.daemon.start()
    warnings = str(cycle(house)["warnings"])
    assert "fsync is off" in warnings
    assert "full_page_writes is off" in warnings


# a standby


def test_a_standby_is_held(house, postgresql, directory):
    standby = standby_of(postgresql, directory)
    try:
        configure(house, standby)
        house.daemon.start()
        coordinates = cycle(house)["coordinates"]
        assert coordinates["in-recovery"] == "yes"
        assert {"received-lsn", "replayed-lsn"} <= set(coordinates)
        assert "insert-lsn" not in coordinates
    finally:
        standby.close()


# several


def test_two_clusters_are_two_apps(house, new_postgresql):
    servers = [new_postgresql("first"), new_postgresql("second")]
    for server in servers:
        configure(house, server, name=server.name)
    house.daemon.start()
    assert house.hook.freeze().status == 0
    identifiers = {one["coordinates"]["system-identifier"] for one in house.record()["apps"]}
    assert len(identifiers) == 1        # both are of one template
    assert {one["coordinates"]["data-directory"] for one in house.record()["apps"]} == {
        str(server.datadir) for server in servers}
    thaw(house)


def test_clients_do_not_notice(running_pg, postgresql):
    """No statement of another session fails or waits long."""
    postgresql.sql("CREATE TABLE t (id int)")
    errors = []
    stop = threading.Event()

    def insert():
        with contextlib.closing(postgresql.connect()) as connection, \
                connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '2s'")
            try:
                while not stop.is_set():
                    cursor.execute("INSERT INTO t VALUES (1)")
            except psycopg2.Error as error:
                errors.append(error)

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        cycle(running_pg)
    finally:
        stop.set()
        thread.join()
    assert not errors
