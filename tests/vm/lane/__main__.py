# SPDX-License-Identifier: GPL-2.0-or-later
"""check-vm: all parts on all guests, and one summary."""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from . import faults, libvirt, selinux, snapshot
from .build import Build
from .image import Images
from .shell import START, say

SUITES = ("bookworm", "trixie")
PARTS = {
    "snapshot": (snapshot.part, "1. two disks under load, booted again"),
    "libvirt": (libvirt.part, "2. libvirt"),
    "faults": (faults.part, "3. killed, frozen for a minute, reset"),
    "selinux": (selinux.part, "4. SELinux, enforcing"),
}


def arguments():
    parser = argparse.ArgumentParser(prog="tests/vm/run", description=__doc__)
    parser.add_argument("--suite", choices=SUITES, action="append", help="all if none is named")
    parser.add_argument("--part", choices=PARTS, action="append", help="all if none is named")
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    return parser.parse_args()


def main():
    options = arguments()
    directory = Path(tempfile.mkdtemp(prefix="quiesced-vm."))
    summary = []
    failed = 0
    build = Build()
    try:
        for suite in options.suite or SUITES:
            images = Images(suite, build)
            for name in options.part or PARTS:
                began = time.monotonic()
                function, title = PARTS[name]
                say(f"{suite}: {title}")
                try:
                    lines, result = function(suite, images, directory / suite), "ok"
                except Exception as error:  # pylint: disable=broad-except
                    traceback.print_exc()
                    lines, result = [str(error)], "FAILED"
                    failed += 1
                summary.append((result, f"{suite}: {title} "
                                        f"({time.monotonic() - began:.0f} s)", lines))
                if not options.keep and result == "ok":
                    shutil.rmtree(directory / suite, ignore_errors=True)
    finally:
        if options.keep or failed:
            say(f"the disks, consoles and logs are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"\n=== {len(summary) - failed} of {len(summary)} parts passed, "
          f"{time.monotonic() - START:.0f} s")
    for result, title, lines in summary:
        print(f"{result:6} {title}")
        for line in lines:
            print("         " + line.replace("\n", "\n         "))
    return 1 if failed else 0


sys.exit(main())
