# SPDX-License-Identifier: GPL-2.0-or-later
"""As whom and how the mysql plugin connects: files, credentials, TCP and TLS."""

import os
import socket

import pytest

from harness import programs
from harness.certificates import Authority
from harness.expect import failed


def write(path, text, mode=0o640, owner=0):
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, programs.UNPRIVILEGED)
    return path


@pytest.fixture
def config(house):
    house.daemon.start()
    return house.config


def holds(house, server, **options):
    house.app("main", server, **options)
    answer = house.hook.freeze()
    assert answer.status == 0, answer
    assert not server.can_write()
    assert house.hook.thaw().status == 0


def refuses(house, server, *words, **options):
    house.app("main", server, **options)
    failed(house.hook.freeze(), "main", *words)
    assert server.can_write()


def test_a_password_file(house, server, config):
    write(config / "password", "secret\n")
    holds(house, server, user="quiesced", password_file=config / "password")


def test_a_defaults_file(house, server, config):
    path = write(config / "my.cnf", f"[client]\nuser = quiesced\npassword = 'secret' # it is\n"
                                    f"socket = {server.socket}\ninit-command = DROP DATABASE x\n")
    holds(house, server, socket=server.socket, defaults_file=path)
    house.app("main", None, defaults_file=path)
    assert house.hook.freeze().status == 0
    assert house.hook.thaw().status == 0


@pytest.mark.parametrize("key", ["defaults_file", "password_file", "tls_key"])
@pytest.mark.parametrize("mode, owner, why", [
    (0o644, 0, "can be read by others"), (0o660, 0, "is writable by its group"),
    (0o640, 1, "belongs to user 1"), (0o600, 0, "Permission denied")])
def test_a_file_that_is_not_to_be_trusted(house, config, key, mode, owner, why):
    path = write(config / "a-file", "secret", mode, owner)
    where = {"host": "127.0.0.1", "tls": "encrypt", "tls_cert": path} if key == "tls_key" else {
        "socket": "/nowhere"}
    house.app("main", None, user="quiesced", **{key: path}, **where)
    failed(house.hook.freeze(), "main", "a-file", why)


def test_a_directory_of_others_on_the_way(house, config):
    (config / "theirs").mkdir()
    os.chown(config / "theirs", 1, 1)
    path = write(config / "theirs" / "password", "secret")
    house.app("main", None, user="quiesced", password_file=path)
    failed(house.hook.freeze(), "theirs", "belongs to user 1")


def test_a_credential_of_the_service(house, server, monkeypatch):
    directory = house.directory / "credentials"
    directory.mkdir()
    write(directory / "database", "secret\n", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    house.daemon.start()
    holds(house, server, user="quiesced", password_file="database")
    refuses(house, server, "other", "No such file", user="quiesced", password_file="other")


def test_no_credentials(house, config):
    house.app("main", None, user="quiesced", password_file="database")
    failed(house.hook.freeze(), "LoadCredential=database:")


# TCP and TLS

ADDRESS = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


class Tcp:
    """A server that listens on a port, with a certificate for the address."""

    def __init__(self, directory, new_server):
        self.port = free_port()
        self.authority = Authority(directory / "authority")
        certificate, key = self.authority.issue("server", f"IP:{ADDRESS},DNS:localhost")
        for path in (self.authority.directory, certificate, key):
            path.chmod(0o755)
        self.server = new_server("main", options=[
            "--skip-networking=OFF", f"--bind-address={ADDRESS}", f"--port={self.port}",
            f"--ssl-ca={self.authority.certificate}", f"--ssl-cert={certificate}",
            f"--ssl-key={key}"])
        self.server.sql(f"CREATE USER quiesced@'{ADDRESS}' IDENTIFIED BY 'secret'",
                        f"GRANT {self.server.PRIVILEGES} ON *.* TO quiesced@'{ADDRESS}'")

    def require(self, what):
        self.server.sql(f"ALTER USER quiesced@'{ADDRESS}' REQUIRE {what}")


@pytest.fixture
def tcp(directory, new_server):
    return Tcp(directory, new_server)


def tcp_app(house, tcp, **options):
    options.setdefault("host", ADDRESS)
    house.app("main", None, port=tcp.port, user="quiesced", password="secret", **options)


def tcp_holds(house, tcp, **options):
    tcp_app(house, tcp, **options)
    answer = house.hook.freeze()
    assert answer.status == 0, answer
    assert not tcp.server.can_write()
    assert house.hook.thaw().status == 0


def test_a_certificate_is_verified(house, config, tcp):
    tcp.require("SSL")
    ca = tcp.authority.certificate
    tcp_holds(house, tcp, tls_ca=ca)
    tcp_holds(house, tcp, tls="verify", tls_ca=ca, host="localhost")
    tcp_holds(house, tcp, tls="encrypt")
    other = Authority(house.directory / "other", "somebody else").certificate
    tcp_app(house, tcp, tls_ca=other)
    failed(house.hook.freeze(), "main", "cannot connect", "certificate")
    # on the loopback TLS is off unless it is asked for, and this user demands it
    tcp_app(house, tcp)
    failed(house.hook.freeze(), "main", "cannot connect")
    assert tcp.server.can_write()


def own_address():
    """Another one than the loopback's: libmariadb 3.4.2 and later compares no names there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but the loopback's")
        return probe.getsockname()[0]


def test_another_name_in_the_certificate(house, config, tcp):
    address = own_address()
    tcp.server.kill()
    tcp.server.options += [f"--bind-address={address}"]
    tcp.server.start()
    tcp.server.sql(f"CREATE USER quiesced@'{address}' IDENTIFIED BY 'secret'",
                   f"GRANT {tcp.server.PRIVILEGES} ON *.* TO quiesced@'{address}'")
    tcp_app(house, tcp, tls_ca=tcp.authority.certificate, host=address, remote="yes")
    failed(house.hook.freeze(), "main", "cannot connect")
    tcp_holds(house, tcp, tls="encrypt", host=address, remote="yes")


def test_a_client_certificate(house, config, tcp):
    tcp.require("X509")
    certificate, key = tcp.authority.issue("client")
    os.chown(key, 0, programs.UNPRIVILEGED)
    key.chmod(0o640)
    ca = tcp.authority.certificate
    tcp_holds(house, tcp, tls_ca=ca, tls_cert=certificate, tls_key=key)
    tcp_app(house, tcp, tls_ca=ca)
    failed(house.hook.freeze(), "main", "cannot connect")


def test_a_server_without_tls(house, config, new_server):
    port = free_port()
    off = "--tls-version=" if os.environ.get("QUIESCED_TEST_SERVER") == "mysql" else "--skip-ssl"
    server = new_server("main", options=["--skip-networking=OFF", f"--bind-address={ADDRESS}",
                                         f"--port={port}", off])
    server.sql(f"CREATE USER quiesced@'{ADDRESS}' IDENTIFIED BY 'secret'",
               f"GRANT {server.PRIVILEGES} ON *.* TO quiesced@'{ADDRESS}'")
    house.app("main", None, host=ADDRESS, port=port, user="quiesced", password="secret",
              tls="encrypt")
    failed(house.hook.freeze(), "main", "cannot connect")
    assert server.can_write()
