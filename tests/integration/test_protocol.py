# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon towards a client of our own, polite or not."""

import json
import subprocess

import pytest

from harness import programs, varlink
from harness.varlink import VarlinkError


@pytest.fixture
def daemon(house):
    return house.daemon.start()


@pytest.fixture
def client(daemon):
    with daemon.client() as client:
        yield client


def assert_alive(daemon):
    assert daemon.status()["state"] == "idle"


def test_get_info(client):
    info = client.call("org.varlink.service.GetInfo")
    assert info["product"] == "quiesced"
    assert set(info) >= {"vendor", "product", "version", "url", "interfaces"}
    assert set(info["interfaces"]) == {"org.varlink.service", "io.quiesced"}


def test_the_interface_described_is_the_varlink_file(client):
    reply = client.call("org.varlink.service.GetInterfaceDescription", interface="io.quiesced")
    assert reply["description"] == programs.VARLINK_FILE.read_text()


def test_the_service_interface_is_described_too(client):
    reply = client.call("org.varlink.service.GetInterfaceDescription",
                        interface="org.varlink.service")
    assert reply["description"].startswith(("interface", "#"))
    assert "method GetInfo" in reply["description"]


def test_status_of_an_idle_daemon(client):
    status = client.status()
    assert status["state"] == "idle"
    assert status["apps"] == []
    assert status["protocol"] == 1
    assert status["version"]


def test_status_while_held(running):
    assert running.hook.freeze().status == 0
    status = running.daemon.status()
    assert status["state"] == "held"
    assert status["cycle"] == running.record()["cycle"]
    assert status["hold_until_monotonic"] > varlink.monotonic_usec()
    (app,) = status["apps"]
    assert (app["name"], app["plugin"], app["outcome"]) == ("main", "mysql", "held")
    assert running.hook.thaw().status == 0


def error_name(client, method, **parameters):
    with pytest.raises(VarlinkError) as caught:
        client.call(method, **parameters)
    return caught.value.name


def test_an_unknown_method(client, daemon):
    assert error_name(client, "io.quiesced.Explode") == "org.varlink.service.MethodNotFound"
    assert_alive(daemon)


def test_an_unknown_interface(client):
    assert error_name(client, "com.example.Freeze") == "org.varlink.service.InterfaceNotFound"
    assert error_name(client, "org.varlink.service.GetInterfaceDescription",
                      interface="com.example") == "org.varlink.service.InterfaceNotFound"


@pytest.mark.parametrize("parameters", [
    {}, {"protocol": "1"}, {"protocol": 1},
    {"protocol": 1, "deadline_monotonic": -1, "undo_deadline_monotonic": 0},
])
def test_a_wrong_parameter(client, daemon, parameters):
    assert error_name(client, "io.quiesced.Prepare",
                      **parameters) == "org.varlink.service.InvalidParameter"
    assert_alive(daemon)


def test_another_protocol_is_refused(client, daemon):
    with pytest.raises(VarlinkError) as caught:
        client.prepare(protocol=2)
    assert caught.value.name == "io.quiesced.ProtocolMismatch"
    assert "restart quiesced.service" in caught.value.parameters["reason"]
    assert caught.value.parameters["protocol"] == 1
    assert_alive(daemon)


@pytest.mark.parametrize("method", ["Freeze", "Commit"])
def test_a_call_out_of_turn(client, daemon, method):
    parameters = {"scripts": False} if method == "Freeze" else {}
    assert error_name(client, f"io.quiesced.{method}", **parameters) == "io.quiesced.WrongState"
    assert_alive(daemon)


def test_a_call_that_the_cycle_of_another_connection_owns(running):
    with running.daemon.client() as owner, running.daemon.client() as stranger:
        owner.prepare()
        assert error_name(stranger, "io.quiesced.Freeze",
                          scripts=False) == "io.quiesced.WrongState"
        assert error_name(stranger, "io.quiesced.Commit") == "io.quiesced.WrongState"
        owner.freeze()


NOT_JSON = {
    "nothing": b"",
    "no object": b"[1, 2]",
    "no method": b"{}",
    "method no string": b'{"method": 1}',
    "torn": b'{"method": "io.quiesced.Status"',
    "trailing": b'{"method": "io.quiesced.Status"} {}',
    "comment": b'{"method": "io.quiesced.Status" /* hello */}',
    "not utf-8": b'{"method": "io.quiesced.\xff\xfe"}',
    "deep": b'{"method": "io.quiesced.Status", "parameters": ' + b'{"a":' * 2000 + b"1"
            + b"}" * 2001,
    "unclosed": b"[" * 100000,
}


@pytest.mark.parametrize("frame", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_frame_that_is_no_call_gets_a_typed_error(client, daemon, frame):
    client.send(frame + b"\0")
    message = client.receive()
    assert message["error"] == "io.quiesced.BadMessage"
    assert message["parameters"]["reason"]
    assert_alive(daemon)


def test_a_frame_without_an_end_is_bounded(client, daemon):
    chunk = b"x" * 65536
    try:
        for _ in range(64):
            client.send(chunk)
        message = client.receive()
        assert message is None or message["error"] == "io.quiesced.BadMessage"
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert_alive(daemon)


def test_a_frame_may_come_in_pieces(client):
    for byte in json.dumps({"method": "io.quiesced.Status"}).encode() + b"\0":
        client.send(bytes([byte]))
    assert client.result()["state"] == "idle"


def test_end_of_file_in_the_middle_of_a_frame(daemon):
    with daemon.client() as client:
        client.send(b'{"method": "io.quiesced.Sta')
    assert_alive(daemon)


def test_a_second_call_on_a_busy_connection(proxied, proxy, server):
    proxy.silence()
    with proxied.daemon.client() as client:
        client.send_call("io.quiesced.Prepare", **client.prepare_parameters())
        assert proxy.kept_back.wait(10)
        client.send_call("io.quiesced.Status")
        proxied.daemon.status()     # the one before it was read by now
        proxy.resume()
        assert client.result()["apps"][0]["name"] == "main"
        with pytest.raises(VarlinkError) as caught:
            client.result()
        assert caught.value.name == "io.quiesced.Busy"
    proxied.daemon.wait_for_state("idle")
    assert server.can_write(seconds=1)


def test_a_second_hook_waits_for_the_first_connection(running, server):
    with running.daemon.client() as first:
        first.prepare()
        call = running.hook.begin("freeze")
        first.freeze()
    answer = call.wait()
    assert answer.status == 0, answer
    assert not server.can_write()
    assert running.hook.thaw().status == 0


def test_a_second_prepare_is_busy_at_its_deadline(running):
    with running.daemon.client() as first, running.daemon.client() as second:
        first.prepare()
        with pytest.raises(VarlinkError) as caught:
            second.prepare(seconds=0.3)
        assert caught.value.name == "io.quiesced.Busy"


def test_idle_connections_keep_nobody_out(daemon):
    clients = [daemon.client() for _ in range(20)]
    try:
        assert_alive(daemon)
    finally:
        for client in clients:
            client.close()


def test_another_user_is_refused_at_once(daemon):
    daemon.socket.chmod(0o666)
    code = ("import socket, sys; connection = socket.socket(socket.AF_UNIX);"
            "connection.connect(sys.argv[1]); print(connection.makefile('rb').read())")
    done = subprocess.run(
        ["setpriv", "--reuid=1", "--regid=1", "--clear-groups", "/usr/bin/python3", "-c", code,
         daemon.socket], cwd="/", check=True, capture_output=True, text=True)
    assert "org.varlink.service.PermissionDenied" in done.stdout
    assert_alive(daemon)


def test_the_socket_is_closed_to_others(daemon):
    assert daemon.socket.stat().st_mode & 0o077 == 0
