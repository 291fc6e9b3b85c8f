# SPDX-License-Identifier: GPL-2.0-or-later
"""Our programs, as they go into a guest: Debian packages, or else make install."""

import os
import shutil
import tempfile
from pathlib import Path

from .image import GUEST, SOURCE, cache, digest, in_chroot
from .shell import expect, run, say

PARTS = ("configure.ac", "Makefile.am", "src", "plugins", "systemd", "packaging", "hooks.d", "man")


def source_files():
    for part in PARTS:
        path = SOURCE / part
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(file for file in path.rglob("*")
                              if file.is_file() and not file.name.startswith("."))


def packages(directory):
    return sorted(path for path in Path(directory).glob("*.deb")
                  if not any(part in path.name for part in ("-dbgsym_", "-dev_", "-selinux_")))


class Build:
    """Built once for each state of the sources."""

    def __init__(self):
        given = os.environ.get("QUIESCED_DEBS")
        sources = packages(given) if given else source_files()
        expect(not given or sources, f"there is no package in {given}")
        self.digest = digest(*sources, GUEST / "probe.c", Path(__file__))
        self.directory = cache() / f"build-{self.digest}"
        self.probe = self.directory / "probe"
        if not self.directory.exists():
            self._make(given)
        self.debs = packages(self.directory)

    def _make(self, given):
        for old in cache().glob("build-*"):
            shutil.rmtree(old)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=cache()))
        try:
            run("gcc", "-O1", "-Wall", "-Wextra", "-static", "-o", new / "probe",
                GUEST / "probe.c")
            if given:
                say(f"taking our packages from {given}")
                for deb in packages(given):
                    shutil.copy(deb, new)
            elif (SOURCE / "packaging/debian").is_dir() and shutil.which("dh"):
                say("building our packages")
                self._make_packages(new)
            else:
                say("building our programs")
                self._make_install(new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        new.rename(self.directory)

    @staticmethod
    def _make_packages(new):
        tree = new / "work" / "quiesced"
        shutil.copytree(SOURCE, tree, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", "autom4te.cache", "build"))
        shutil.copytree(tree / "packaging/debian", tree / "debian")
        run("dpkg-buildpackage", "-b", "-us", "-uc", "-d", cwd=tree,
            env={**os.environ, "DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count()}",
                 "DEB_BUILD_PROFILES": "pkg.quiesced.noselinux"})
        for deb in packages(new / "work"):
            shutil.move(deb, new)
        shutil.rmtree(new / "work")

    @staticmethod
    def _make_install(new):
        work = new / "work"
        work.mkdir()
        if not (SOURCE / "configure").exists():
            run("./autogen.sh", cwd=SOURCE)
        run(SOURCE / "configure", "-q", "--prefix=/usr", "--sysconfdir=/etc",
            "--localstatedir=/var", "--libdir=/usr/lib/x86_64-linux-gnu",
            "--with-guest-agent=debian",
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
