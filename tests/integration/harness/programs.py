# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the programs under test are: in the build tree, or installed."""

import functools
import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
VARLINK_FILE = SOURCE / "src/common/io.quiesced.varlink"

# An unprivileged user and group that every system has: the daemon's.
UNPRIVILEGED = 65534


class NotBuilt(RuntimeError):
    """QUIESCED_BUILDDIR does not hold what is asked for."""


def build_directory():
    directory = os.environ.get("QUIESCED_BUILDDIR")
    if not directory:
        raise NotBuilt("QUIESCED_BUILDDIR is not set: the directory where make ran")
    return Path(directory).resolve()


@functools.cache
def program(name):
    build = build_directory()
    for path in (build / name, *sorted(build.glob(f"src/**/{name}"))):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise NotBuilt(f"no program '{name}' in {build}")


@functools.cache
def plugin(name):
    build = build_directory()
    for path in sorted(build.rglob(f"{name}.so")):
        if path.is_file():
            return path
    raise NotBuilt(f"no plugin '{name}.so' in {build}")


@functools.cache
def sanitized():
    """Are the programs built with the address sanitizer?"""
    return b"__asan_init" in program("fsfreeze-hook").read_bytes()
