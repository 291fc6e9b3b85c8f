# SPDX-License-Identifier: GPL-2.0-or-later
"""A MySQL server of our own."""

from .mariadb import USER, MariaDB

SMALL = ["--innodb-buffer-pool-size=32M", "--innodb-redo-log-capacity=8M", "--mysqlx=OFF",
         "--secure-file-priv=NULL"]


class MySQL(MariaDB):
    """As MariaDB, with what differs."""

    FLAVOUR = "MySQL"
    WAITING = "Waiting for global read lock"
    LEAST_WAIT = 1
    BINLOG_STATUS = "SHOW BINARY LOG STATUS"
    PRIVILEGES = "RELOAD, REPLICATION CLIENT, PROCESS"
    BY_SOCKET = "IDENTIFIED WITH auth_socket"

    @staticmethod
    def initialize(data):
        return ["mysqld", "--no-defaults", f"--datadir={data}", f"--user={USER}",
                "--initialize-insecure", *SMALL]

    def command(self):
        return ["mysqld", *self.common_options(), *SMALL]
