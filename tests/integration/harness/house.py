# SPDX-License-Identifier: GPL-2.0-or-later
"""An installation of ours in a directory of its own: configuration, runtime and state
directories, scripts, plugins, daemon and hook."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from . import programs
from .daemon import Daemon
from .hook import Hook

SCRIPT_DIRECTORIES = ("hooks.d", "legacy", "old-legacy")

# The worker's environment is built, not inherited: this is the way to its sanitizer.
SANITIZED_WORKER = """#!/bin/sh
ASAN_OPTIONS=detect_leaks=0:log_path={log} UBSAN_OPTIONS=log_path={log} \\
exec {worker} "$@"
"""


class House:
    def __init__(self, directory, state=None, plugins=("mysql",)):
        self.directory = Path(directory)
        self.config = self.directory / "etc"
        self.runtime = self.directory / "run"
        self.state = Path(state) if state else self.directory / "state"
        self.plugins = self.directory / "plugins"
        self.programs = self.directory / "programs"
        self.log = self.directory / "log" / "fsfreeze-hook.log"
        self.settings = {}
        for path in (self.config / "apps.d", self.runtime, self.state, self.plugins,
                     self.programs, self.log.parent, *(self.directory / name for name in SCRIPT_DIRECTORIES)):
            path.mkdir(parents=True)
        os.chown(self.runtime, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        for name in plugins:
            self._install(name)
        # copies: the daemon's user may not be able to reach the build directory
        self.quiesced, self.worker = (
            Path(shutil.copy(programs.program(name), self.programs))
            for name in ("quiesced", "quiesced-worker"))
        self._sanitizer = self.directory / "sanitizer"
        if programs.sanitized():
            self._wrap_worker()
        self.daemon = Daemon(self)
        self.hook = Hook(self.environment())

    def _wrap_worker(self):
        self._sanitizer.mkdir()
        os.chown(self._sanitizer, programs.UNPRIVILEGED, programs.UNPRIVILEGED)
        wrapper = self.programs / "wrapped-worker"
        wrapper.write_text(SANITIZED_WORKER.format(log=self._sanitizer / "worker",
                                                   worker=self.worker))
        wrapper.chmod(0o755)
        self.worker = wrapper

    def environment(self):
        return {
            "QUIESCED_CONFIG_DIR": str(self.config),
            "QUIESCED_RUNTIME_DIR": str(self.runtime),
            "QUIESCED_STATE_DIR": str(self.state),
            "QUIESCED_HOOKS_PATH": ":".join(str(self.directory / name)
                                            for name in SCRIPT_DIRECTORIES),
            "QUIESCED_LOG_FILE": str(self.log),
        }

    def set(self, **settings):
        """quiesced.conf: set(hold_timeout="2s")."""
        self.settings.update(settings)
        self._write(self.config / "quiesced.conf", {"quiesced": self.settings})

    def app(self, name, server=None, policy="required", not_running="fail", plugin="mysql",
            **options):
        """apps.d/NAME.conf for the plugin mysql, on the socket of `server`, or another."""
        if server is not None:
            options.setdefault("socket", server.socket)
        self._install(plugin)
        self._write(self.config / "apps.d" / f"{name}.conf",
                    {"app": {"plugin": plugin, "policy": policy, "not_running": not_running},
                     plugin: options})

    def _install(self, plugin):
        path = self.plugins / f"{plugin}.so"
        if not path.exists():
            shutil.copyfile(programs.plugin(plugin), path)

    @staticmethod
    def _write(path, sections):
        text = ""
        for section, keys in sections.items():
            text += f"[{section}]\n"
            text += "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())
        path.touch(mode=0o640)
        path.chmod(0o640)
        os.chown(path, 0, programs.UNPRIVILEGED)
        path.write_text(text)

    def script(self, name, body, directory="hooks.d", mode=0o755):
        """An executable for the hook; `$D` is this house's directory."""
        path = self.directory / directory / name
        path.write_text(f"#!/bin/sh\nD={self.directory}\n{body}\n")
        path.chmod(mode)
        return path

    def record(self, name="record.json"):
        return json.loads((self.state / name).read_text())

    @property
    def marker(self):
        return self.runtime / "marker"

    def complaints(self):
        """What the sanitizers found in daemon and worker."""
        found = [path.read_text(errors="replace") for path in self._sanitizer.glob("*")]
        with contextlib.suppress(FileNotFoundError):
            log = self.daemon.log.read_text(errors="replace")
            if "Sanitizer" in log or "runtime error:" in log:
                found.append(log)
        return "\n".join(found)

    def close(self):
        self.daemon.terminate()
