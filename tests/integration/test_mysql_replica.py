# SPDX-License-Identifier: GPL-2.0-or-later
"""A hold on a replica whose appliers work in parallel: no deadlock, and the position that
it has executed."""

import socket
import time

import pytest

from harness import replication
from harness.flavour import flavour

METHODS = ["ftwrl"] if flavour().FLAVOUR == "MySQL" else ["ftwrl", "backup-stage"]
CYCLES = 8
WRITERS = 6


def free_ports(number):
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind((replication.ADDRESS, 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def pair(new_server):
    ports = free_ports(2)
    servers = [new_server(name, options=replication.options(flavour(), number, port))
               for number, (name, port) in enumerate(zip(("primary", "replica"), ports), 1)]
    pair = replication.Pair(*servers, ports[0])
    yield pair
    pair.stop_writing()


@pytest.mark.parametrize("method", METHODS)
def test_a_replica_is_held_where_it_has_executed(house, pair, method):
    house.app("main", pair.replica, user="quiesced", password="secret", method=method)
    house.daemon.start()
    pair.write(WRITERS)
    pair.wait_for_rows(50)
    stalls = []
    for _ in range(CYCLES):
        answer = house.hook.freeze()
        assert answer.status == 0, answer
        (app,) = house.record()["apps"]
        coordinates = app["coordinates"]
        recorded = (coordinates["replica-source-file"], coordinates["replica-source-position"])
        rows = pair.rows(pair.replica)
        assert recorded == pair.executed()
        time.sleep(0.05)
        assert recorded == pair.executed()
        assert rows == pair.rows(pair.replica)
        assert not app["warnings"]
        answer = house.hook.thaw()
        assert answer.status == 0, answer
        stalls.append(int(coordinates["longest-stall-ms"]))
        pair.wait_for_rows(10)
    print(f"{app['server']} {method}: {CYCLES} holds on a replica with {replication.APPLIERS}"
          f" appliers, lock {sorted(stalls)[len(stalls) // 2]} ms, at most {max(stalls)} ms")
    pair.stop_writing()
    pair.wait_until_equal()
