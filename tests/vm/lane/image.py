# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of a guest: made once, kept, and never written by a guest."""

import bz2
import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from .shell import run, say

GUEST = Path(__file__).resolve().parent.parent / "guest"

SOURCE = GUEST.parent.parent.parent
MODULES = (GUEST, SOURCE / "selinux")
PACKAGED = "/usr/share/selinux/packages/quiesced.pp.bz2"

PACKAGES = """
    systemd systemd-sysv udev dbus kmod procps initramfs-tools linux-image-cloud-amd64
    e2fsprogs xfsprogs qemu-guest-agent mariadb-server postgresql
    libinih1 libjson-c5 libmariadb3 libpq5 auditd selinux-basics selinux-policy-default
""".split()

# The policy's headers alone, without the tools that the package asks for: ours will do.
HEADERS = 'cd "$1/tmp" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" ' \
          'apt-get -qq download selinux-policy-dev && ' \
          'dpkg-deb -x selinux-policy-dev_*.deb "$1" && rm selinux-policy-dev_*.deb'

NO_SERVICES = 'printf "#!/bin/sh\\nexit 101\\n" >"$1/usr/sbin/policy-rc.d"; ' \
              'chmod 755 "$1/usr/sbin/policy-rc.d"'


def cache():
    path = Path(os.environ.get("QUIESCED_CACHE_DIR", Path.home() / ".cache" / "quiesced"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(*parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
    return total.hexdigest()[:12]


def base(suite):
    """A tar file of the Debian release, with all packages but ours."""
    tar = cache() / f"{suite}-{digest(*PACKAGES)}.tar"
    if tar.exists():
        return tar
    say(f"{suite}: downloading and unpacking packages")
    mirror = os.environ.get("QUIESCED_DEBIAN_MIRROR", "http://deb.debian.org/debian")
    work = tar.with_suffix(".new")
    # a mirror may lag behind, or the machine's clock; what comes is signed all the same
    run("mmdebstrap", "--quiet", "--mode=root", "--format=tar", "--variant=minbase",
        f"--include={','.join(PACKAGES)}", "--aptopt=APT::Install-Recommends \"false\"",
        "--aptopt=Acquire::Retries \"4\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*", f"--essential-hook={NO_SERVICES}",
        f"--customize-hook={HEADERS}", "--customize-hook=rm \"$1/usr/sbin/policy-rc.d\"",
        suite, work, mirror)
    work.rename(tar)
    return tar


class Images:
    """The images of one suite, unpacked from `tar`, with one build of our programs.

    `root` and `data` with our policy module, `root_without` and `data` without it;
    `kernel` and `initrd` to boot them.
    """

    def __init__(self, suite, tar, build):
        self.suite = suite
        self.build = build
        guest_files = sorted(path for directory in MODULES for path in directory.iterdir()
                             if path.is_file())
        key = digest(tar.name, tar.stat().st_mtime_ns, build.digest, *guest_files,
                     Path(__file__))
        self.directory = cache() / f"{suite}-guest-{key}"
        self.root = self.directory / "root.img"
        self.data = self.directory / "data.img"
        self.root_without = self.directory / "root-without-module.img"
        self.kernel = self.directory / "vmlinuz"
        self.initrd = self.directory / "initrd"
        if not self.directory.exists():
            self._make(tar)

    def _make(self, tar):
        for old in cache().glob(f"{self.suite}-guest-*"):
            shutil.rmtree(old)
        say(f"{self.suite}: making the images")
        new = Path(tempfile.mkdtemp(prefix="new-", dir=cache()))
        try:
            self._fill(new, tar)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        new.rename(self.directory)

    def _fill(self, new, tar):
        root, data = new / "root.img", new / "data.img"
        for path, size in ((root, "4G"), (data, "600M")):
            run("truncate", "-s", size, path)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", root)
        run("mkfs.xfs", "-q", data)
        with mounted(root, data, new / "mnt") as mnt:
            run("tar", "-xf", tar, "-C", mnt, "--numeric-owner", "--xattrs",
                "--xattrs-include=*")
            self._install(mnt)
            run("sh", "-c", "cp /boot/vmlinuz-* $0/vmlinuz; cp /boot/initrd.img-* $0/initrd"
                .replace("/boot", str(mnt / "boot")), new)
            run("sh", "-c", "rm -rf $0/var/cache/apt/* $0/var/lib/apt/lists/*", mnt)
            self._add_module_package(mnt)
            compile_module(mnt, "qemu_ga", mnt / "root/qemu_ga.pp")
            self._load(mnt, "/root/qemu_ga.pp")
        say(f"{self.suite}: the same with our policy module")
        run("cp", "--sparse=always", root, new / "root-without-module.img")
        with mounted(root, data, new / "mnt") as mnt:
            self._load(mnt, PACKAGED)

    def _install(self, mnt):
        self.build.install(mnt)
        for name, mode in (("vm-shell", 0o755), ("vm-load", 0o755), ("setup", 0o755)):
            shutil.copy(GUEST / name, mnt / "usr/local/sbin" / name)
            (mnt / "usr/local/sbin" / name).chmod(mode)
        shutil.copy(self.build.probe, mnt / "usr/local/sbin/vm-probe")
        shutil.copy(GUEST / "vm-shell.service", mnt / "etc/systemd/system")
        in_chroot(mnt, "/usr/local/sbin/setup")

    @staticmethod
    def _add_module_package(mnt):
        """What quiesced-selinux has, with the module made for this system, but unused."""
        packaged = mnt / PACKAGED.lstrip("/")
        packaged.parent.mkdir(parents=True, exist_ok=True)
        compile_module(mnt, "quiesced", mnt / "root/quiesced.pp")
        packaged.write_bytes(bz2.compress((mnt / "root/quiesced.pp").read_bytes()))
        (mnt / "root/quiesced.pp").unlink()
        for script in ("postinst", "prerm"):
            shutil.copy(SOURCE / f"packaging/debian/quiesced-selinux.{script}",
                        mnt / f"root/{script}")

    @staticmethod
    def _load(mnt, module):
        """Adds a policy module, and labels all files as the policy then says."""
        in_chroot(mnt, "semodule", "--noreload", "--store=default", "--priority=200", "-i", module)
        contexts = mnt / "etc/selinux/default/contexts/files/file_contexts"
        run("setfiles", "-F", "-r", mnt, contexts, mnt)
        run("setfiles", "-F", "-r", mnt, contexts, mnt / "var/lib/mysql")


def compile_module(mnt, module, to):
    """The policy module, made with the headers of the system in `mnt`."""
    headers = mnt / "usr/share/selinux/devel/include"
    with tempfile.TemporaryDirectory() as work:
        for directory in MODULES:
            for path in directory.glob(f"{module}.*"):
                shutil.copy(path, work)
        run("make", "-s", "-f", headers / "Makefile", f"HEADERDIR={headers}", "NAME=default",
            "TYPE=mcs", f"{module}.pp", cwd=work)
        shutil.copy(Path(work) / f"{module}.pp", to)


@contextlib.contextmanager
def mounted(root, data, mnt):
    """Both images, the second one where MariaDB has its data."""
    mnt.mkdir(exist_ok=True)
    with contextlib.ExitStack() as undo:
        run("mount", "-o", "loop", root, mnt)
        undo.callback(run, "umount", mnt)
        (mnt / "var/lib/mysql").mkdir(parents=True, exist_ok=True)
        run("mount", "-o", "loop", data, mnt / "var/lib/mysql")
        undo.callback(run, "umount", mnt / "var/lib/mysql")
        yield mnt
    mnt.rmdir()


def in_chroot(mnt, *command):
    """Runs it in namespaces of its own: nothing that it starts or mounts is left."""
    script = ('mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/run"; '
              'mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"; mount --bind /dev "$0/dev"; '
              'mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"; '
              'exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root '
              'DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 "$@"')
    return run("unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child",
               "--propagation", "private", "--", "sh", "-euc", script, mnt, *command)
