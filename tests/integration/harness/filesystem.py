# SPDX-License-Identifier: GPL-2.0-or-later
"""An ext4 or xfs in a file, mounted by a loop device, and thawed whatever happens."""

import os
import subprocess
import sys
from pathlib import Path


MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-m", "0"],
        "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"]}


class Filesystem:
    """Mounted from here to close(). A guard process thaws and unmounts it when this
    process dies, and when the guard's patience ends."""

    def __init__(self, image, mountpoint, megabytes=None, kind="ext4", patience=180):
        self.image = Path(image)
        self.mountpoint = Path(mountpoint)
        self._guard = None
        if megabytes is not None:
            with open(self.image, "wb") as file:
                file.truncate(megabytes << 20)
            subprocess.run([*MKFS[kind], self.image], check=True)
        self.mountpoint.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.mountpoint], check=True)
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", Path(__file__).with_name("guard.py"),
                 self.mountpoint, str(patience)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            if self._guard.stdout.readline() != b"guarding\n":
                raise RuntimeError("the guard of the filesystem did not start")
        except BaseException:
            subprocess.run(["umount", self.mountpoint], check=False)
            raise
        self.mountpoint.chmod(0o755)

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", self.mountpoint], check=True)

    def thaw(self):
        """Does nothing when it is not frozen."""
        subprocess.run(["fsfreeze", "-u", self.mountpoint], check=False,
                       stderr=subprocess.DEVNULL)

    def copy(self, to):
        """A copy of the image as it is now."""
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", self.image, to], check=True)
        return Path(to)

    def clone(self, to):
        """A copy of the image at one instant, on the filesystem that it is on itself."""
        subprocess.run(["cp", "--reflink=always", self.image, to], check=True)
        return Path(to)

    def close(self):
        if self._guard is None:
            return
        self._guard.stdin.close()
        self._guard.wait(timeout=30)
        self._guard.stdout.close()
        self._guard = None
        if os.path.ismount(self.mountpoint):
            raise RuntimeError(f"{self.mountpoint} is still mounted")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
