# SPDX-License-Identifier: GPL-2.0-or-later
"""Our programs, as they go into a guest: Debian packages, or else make install."""

import os
import shutil
import tempfile
from pathlib import Path

from .image import GUEST, cache, digest, in_chroot
from .shell import run, say

SOURCE = Path(__file__).resolve().parent.parent.parent.parent
PARTS = ("configure.ac", "Makefile.am", "src", "plugins", "systemd")


def source_files():
    for part in PARTS:
        path = SOURCE / part
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(file for file in path.rglob("*")
                              if file.is_file() and not file.name.startswith("."))


class Build:
    """Built once for each state of the sources."""

    def __init__(self):
        debs = os.environ.get("QUIESCED_DEBS")
        self.debs = sorted(Path(debs).glob("*.deb")) if debs else []
        self.digest = digest(*(self.debs or source_files()), GUEST / "probe.c")
        self.directory = cache() / f"build-{self.digest}"
        self.probe = self.directory / "probe"
        if not self.directory.exists():
            self._make()

    def _make(self):
        for old in cache().glob("build-*"):
            shutil.rmtree(old)
        say("building our programs" if not self.debs else "taking our packages")
        new = Path(tempfile.mkdtemp(prefix="new-", dir=cache()))
        try:
            run("gcc", "-O1", "-Wall", "-Wextra", "-static", "-o", new / "probe",
                GUEST / "probe.c")
            if not self.debs:
                self._install_below(new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        new.rename(self.directory)

    def _install_below(self, new):
        work = new / "work"
        work.mkdir()
        if not (SOURCE / "configure").exists():
            run("./autogen.sh", cwd=SOURCE)
        run(SOURCE / "configure", "-q", "--prefix=/usr", "--sysconfdir=/etc",
            "--localstatedir=/var", "--libdir=/usr/lib/x86_64-linux-gnu",
            "--with-systemdsystemunitdir=/usr/lib/systemd/system", "CFLAGS=-O2 -g", cwd=work)
        run("make", "-s", f"-j{os.cpu_count()}", cwd=work)
        run("make", "-s", "install", f"DESTDIR={new / 'root'}", cwd=work)
        shutil.rmtree(work)

    def install(self, mnt):
        """Into a mounted system."""
        if not self.debs:
            run("cp", "-a", "--no-preserve=ownership", f"{self.directory / 'root'}/.", mnt)
            return
        (mnt / "root/debs").mkdir()
        for deb in self.debs:
            shutil.copy(deb, mnt / "root/debs")
        policy = mnt / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        in_chroot(mnt, "sh", "-c", "dpkg -i /root/debs/*.deb")
        policy.unlink()
        shutil.rmtree(mnt / "root/debs")
