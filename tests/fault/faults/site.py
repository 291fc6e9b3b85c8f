# SPDX-License-Identifier: GPL-2.0-or-later
"""A house (tests/integration/harness) whose apps are files that can be locked."""

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from harness import programs
from harness.house import House

BUILT = "tests/fault"
# How much longer everything takes with the sanitizers, and on a machine that has
# much else to do.
PATIENCE = (2 if programs.sanitized() else 1) * (1 + os.getloadavg()[0] / (8 * os.cpu_count()))
SCALED = {"freeze_timeout", "hold_attempt", "thaw_timeout", "script_timeout",
          "script_thaw_timeout"}
UNITS = (("ms", 0.001), ("min", 60.0), ("s", 1.0))


def seconds(text):
    """A duration of quiesced.conf."""
    for unit, factor in UNITS:
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    raise ValueError(text)


def use_memory():
    """Puts temporary files into memory, where no other program's disk traffic delays
    them: the record may take a second, and not more."""
    with open("/proc/mounts") as mounts:
        for line in mounts:
            _, place, kind, options = line.split()[:4]
            if place == "/dev/shm" and kind == "tmpfs" and "noexec" not in options.split(","):
                os.environ.setdefault("TMPDIR", place)


def built(name):
    """A helper that make check built."""
    path = programs.build_directory() / BUILT / name
    if not path.exists():
        raise programs.NotBuilt(f"{path}: run make check first")
    return path


@dataclass
class App:
    """One app of the plugin fault: faults={"freeze": "hang"}."""
    name: str
    policy: str = "required"
    not_running: str = "fail"
    faults: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    traced: bool = True         # the plugin writes a line for each phase

    @property
    def required(self):
        return self.policy == "required"

    def does(self, phase):
        return self.faults.get(phase, "ok")


class Site(House):
    """Short times; each app has a file NAME.lock in the directory `locks`."""

    def __init__(self, directory, **settings):
        super().__init__(directory, plugins=("fault",))
        self.locks = self.directory / "locks"
        self.locks.mkdir()
        os.chown(self.locks, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        self.apps = []
        self.set(**{"sync": "no", "retry_after": "0s", "freeze_timeout": "4s",
                    "hold_attempt": "500ms", "thaw_timeout": "1s",
                    "script_thaw_timeout": "500ms", "hold_timeout": "30s", **settings})

    def set(self, **settings):
        super().set(**{key: f"{round(seconds(value) * PATIENCE * 1000)}ms"
                       if key in SCALED else value for key, value in settings.items()})

    def environment(self):
        """The hook's leaks are looked for where it is neither traced nor starved."""
        more = {"ASAN_OPTIONS": "detect_leaks=0"} if programs.sanitized() else {}
        return {**super().environment(), **more}

    def configure(self, *apps):
        """apps.d holds these apps, and no other."""
        for path in (self.config / "apps.d").glob("*.conf"):
            path.unlink()
        self.apps = list(apps)
        for app in apps:
            for suffix in ("lock", "trace"):
                self._own_file(self.locks / f"{app.name}.{suffix}")
            self._write(self.config / "apps.d" / f"{app.name}.conf", {
                "app": {"plugin": "fault", "policy": app.policy,
                        "not_running": app.not_running},
                "fault": {"lock": self.lock(app), **app.faults, **app.options,
                          **({"trace": self.locks / f"{app.name}.trace"} if app.traced
                             else {})}})

    @staticmethod
    def _own_file(path):
        path.touch()
        os.chown(path, programs.UNPRIVILEGED, programs.UNPRIVILEGED)

    def lock(self, app):
        return self.locks / f"{app.name}.lock"

    def fifo(self, app):
        """A FIFO by which the app's hold is lost: lose()."""
        path = self.locks / f"{app.name}.lose"
        if not path.exists():
            os.mkfifo(path)
            os.chown(path, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        return path

    def lose(self, app):
        with open(self.fifo(app), "r+b", buffering=0) as fifo:
            fifo.write(b"gone\n")

    def held(self, app):
        """Is the app's file locked, seen from this process?"""
        with open(self.lock(app)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def held_apps(self):
        return [app.name for app in self.apps if self.held(app)]

    def phases(self, app):
        """The phases that the plugin has run since the last forget_phases()."""
        return (self.locks / f"{app.name}.trace").read_text().split()

    def forget_phases(self):
        for app in self.apps:
            os.truncate(self.locks / f"{app.name}.trace", 0)

    def children(self):
        """The living children of the daemon: (pid, command line). Its workers, and a
        sync."""
        found = []
        if self.daemon.process is None:
            return found
        pid = self.daemon.process.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with contextlib.suppress(OSError):
                    stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                    if stat[0] != "Z":
                        found.append((int(child), Path(f"/proc/{child}/cmdline").read_bytes()
                                      .replace(b"\0", b" ").decode()))
        return found

    def budget(self, action):
        """Seconds in which the hook has to answer, by its own settings (I4)."""
        return self.seconds("freeze_timeout") if action == "freeze" else (
            self.seconds("thaw_timeout") + self.seconds("script_thaw_timeout"))

    def seconds(self, key):
        return seconds(self.settings[key])

    def record_or_none(self):
        try:
            return self.record()
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def wrap_worker(self, prefix, environment=None):
        """Workers are started by `prefix`, which has to exec its arguments."""
        lines = [f"export {key}='{value}'" for key, value in (environment or {}).items()]
        wrapper = self.programs / "faulty-worker"
        wrapper.write_text("\n".join(["#!/bin/sh", *lines, 'exec ' + " ".join(
            [*map(str, prefix), str(self.worker), '"$@"']), ""]))
        wrapper.chmod(0o755)
        self.worker = wrapper
