# SPDX-License-Identifier: GPL-2.0-or-later
"""check-vm: all parts on all guests, and one summary."""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import faults, libvirt, selinux, snapshot
from .build import Build
from .image import Images, base
from .shell import START, say

SUITES = ("bookworm", "trixie")
PARTS = {
    "snapshot": (snapshot.part, "1. two disks under load, booted again"),
    "libvirt": (libvirt.part, "2. libvirt"),
    "faults": (faults.part, "3. killed, frozen for a minute, reset, rebooted"),
    "selinux": (selinux.part, "4. SELinux, enforcing"),
    "load": (selinux.load, "5. the module, loaded into a running guest"),
}
DEFAULT = ("snapshot", "libvirt", "faults", "selinux")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/vm/run", description=__doc__)
    parser.add_argument("--suite", choices=SUITES, action="append", help="all if none is named")
    parser.add_argument("--part", choices=PARTS, action="append",
                        help="all but load, which takes minutes, if none is named")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="suites at a time")
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    return parser.parse_args()


def try_part(suite, name, images, directory):
    """Whether it passed, its title and its lines for the summary."""
    began = time.monotonic()
    function, title = PARTS[name]
    say(f"{suite}: {title}")
    try:
        lines, passed = function(suite, images, directory), True
    except Exception as error:  # pylint: disable=broad-except
        traceback.print_exc()
        lines, passed = [str(error)], False
    return passed, f"{suite}: {title} ({time.monotonic() - began:.0f} s)", lines


def try_suite(suite, build, options, directory):
    try:
        tar = base(suite)       # meanwhile our programs are built
        images = Images(suite, tar, build.result())
    except Exception as error:  # pylint: disable=broad-except
        traceback.print_exc()
        return [(False, f"{suite}: its images", [str(error)])]
    results = []
    for name in options.part or DEFAULT:
        results.append(try_part(suite, name, images, directory / name))
        if results[-1][0] and not options.keep:
            shutil.rmtree(directory / name, ignore_errors=True)
    return results


def main():
    options = arguments()
    directory = Path(tempfile.mkdtemp(prefix="quiesced-vm."))
    keep = True
    try:
        with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(options.jobs) as pool:
            build = builder.submit(Build)
            suites = [pool.submit(try_suite, suite, build, options, directory / suite)
                      for suite in options.suite or SUITES]
        results = [result for suite in suites for result in suite.result()]
        failed = len([result for result in results if not result[0]])
        keep = options.keep or failed
    finally:
        if keep:
            say(f"the disks, consoles and logs are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"\n=== {len(results) - failed} of {len(results)} parts passed, "
          f"{time.monotonic() - START:.0f} s")
    for passed, title, lines in results:
        print(f"{'ok' if passed else 'FAILED':6} {title}")
        for line in lines:
            print("         " + line.replace("\n", "\n         "))
    return 1 if failed else 0


sys.exit(main())
