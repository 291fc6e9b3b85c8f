# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kind of server the tests run against: QUIESCED_TEST_SERVER = mariadb or mysql."""

import os

from .mariadb import MariaDB
from .mysql import MySQL

FLAVOURS = {"mariadb": MariaDB, "mysql": MySQL}


def flavour():
    return FLAVOURS[os.environ.get("QUIESCED_TEST_SERVER") or "mariadb"]
