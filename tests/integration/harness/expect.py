# SPDX-License-Identifier: GPL-2.0-or-later
"""What every failure has in common."""


def failed(answer, *words):
    """Not 0, no death by a signal, and one line with all the words."""
    assert answer.status > 0, answer
    line = answer.line
    assert line.startswith("quiesced: "), answer
    for word in words:
        assert word in line, answer
    return answer


def free(house, *servers):
    """Nothing is locked, seen from another session within 1 s; nothing is left."""
    for server in servers:
        assert server.can_write(seconds=1), "still locked"
    if house.daemon.process is not None:
        house.daemon.wait_for_state("idle")
        house.daemon.wait_for_no_worker()
    assert not house.marker.exists()
