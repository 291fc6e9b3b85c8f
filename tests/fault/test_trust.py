# SPDX-License-Identifier: GPL-2.0-or-later
"""I8: what anybody else could have written is not read, loaded or run."""

import os
import shutil
import threading

import pytest

from faults import invariants
from faults.site import App

STRANGER = 1                    # neither root nor the daemon's user
FILES = {
    "quiesced.conf": lambda site: site.config / "quiesced.conf",
    "the app's file": lambda site: site.config / "apps.d" / "one.conf",
    "the plugin": lambda site: site.plugins / "fault.so",
    "a script": lambda site: site.directory / "hooks.d" / "10-script",
}
PARENTS = {
    "of the app's file": lambda site: site.config / "apps.d",
    "of quiesced.conf": lambda site: site.config,
    "of the plugin": lambda site: site.plugins,
    "of a script": lambda site: site.directory / "hooks.d",
    "of all of them": lambda site: site.directory,
}


def owned(path):
    os.chown(path, STRANGER, 0)


def group_writable(path):
    path.chmod(path.stat().st_mode | 0o020)


def world_writable(path):
    path.chmod(path.stat().st_mode | 0o002)


def linked(path):
    """It is a symbolic link that leads into a stranger's directory."""
    strange = path.parent.parent / f"strange-{path.name}"
    strange.mkdir()
    moved = strange / path.name
    path.rename(moved)
    owned(strange)
    path.symlink_to(moved)


def strangers_link(path):
    """A link that is a stranger's, to a file that is not."""
    moved = path.with_name(f"{path.name}.moved")
    path.rename(moved)
    path.symlink_to(moved)
    os.chown(path, STRANGER, 0, follow_symlinks=False)


def hard_to_tell(path):
    """No file at all."""
    mode = path.stat().st_mode
    path.unlink()
    os.mkfifo(path)
    path.chmod(mode & 0o777)


CHANGES = [owned, group_writable, world_writable, linked, strangers_link, hard_to_tell]


@pytest.fixture
def configured(site):
    site.configure(App("one"))
    site.script("10-script", "echo $1 >>$D/calls")
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    (site.directory / "calls").unlink()
    site.forget_phases()
    return site


def refused(site, path):
    """The freeze fails, names the file, and nothing of it was run."""
    answer = site.hook.freeze()
    invariants.after(site, "freeze", answer, consistent=False)
    assert f"'{path}" in answer.output or f"'{path.parent}" in answer.output, answer
    assert "freeze" not in site.phases(site.apps[0])
    thaw = site.hook.thaw()
    invariants.answered(site, "thaw", thaw)
    assert not site.held_apps()
    return answer


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("what", FILES)
def test_a_file(configured, what, change):
    path = FILES[what](configured)
    if what == "a script" and change is hard_to_tell:
        pytest.skip("what is no regular file is no script, as under the stock hook")
    change(path)
    answer = refused(configured, path if change is not linked else
                     path.parent.parent / f"strange-{path.name}" / "any")
    told = configured.directory / "calls"
    if what in ("quiesced.conf", "a script"):
        assert not told.exists() or "freeze" not in told.read_text(), answer


@pytest.mark.parametrize("change", [owned, group_writable, world_writable],
                         ids=lambda change: change.__name__)
@pytest.mark.parametrize("which", PARENTS)
def test_a_directory(configured, which, change):
    path = PARENTS[which](configured)
    change(path)
    answer = configured.hook.freeze()
    invariants.answered(configured, "freeze", answer, consistent=False)
    assert f"'{path}'" in answer.output, answer
    assert not configured.held_apps()
    assert "freeze" not in configured.phases(configured.apps[0])


@pytest.mark.parametrize("which", ["of the app's file", "of the plugin"])
def test_a_sticky_directory_of_roots_passes(configured, which):
    """The last directory has to be closed; one above may be as /tmp is."""
    above = PARENTS[which](configured).parent
    above.chmod(0o1777)
    invariants.after(configured, "freeze", configured.hook.freeze(), consistent=True)
    invariants.after(configured, "thaw", configured.hook.thaw(), consistent=True)


def test_the_users_own_plugin_passes_for_the_worker_alone(configured):
    os.chown(FILES["the plugin"](configured), 65534, 65534)
    invariants.after(configured, "freeze", configured.hook.freeze(), consistent=True)
    invariants.after(configured, "thaw", configured.hook.thaw(), consistent=True)
    configured.forget_phases()
    os.chown(FILES["quiesced.conf"](configured), 65534, 65534)
    refused(configured, FILES["quiesced.conf"](configured))


class Swapper:
    """Puts a stranger's file and ours into the same place, as fast as it can."""

    def __init__(self, path, evil):
        self.path = path
        self.swaps = 0
        self._good = path.with_name("good")
        self._evil = path.with_name("evil")
        shutil.copy2(path, self._good)
        os.chown(self._good, path.stat().st_uid, path.stat().st_gid)
        self._evil.write_bytes(evil)
        self._evil.chmod(path.stat().st_mode & 0o777)
        owned(self._evil)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            for source in (self._evil, self._good):
                temporary = self.path.with_name("swap")
                os.link(source, temporary)
                os.rename(temporary, self.path)
                self.swaps += 1

    def stop(self):
        self._end.set()
        self._thread.join()


@pytest.mark.parametrize("what", ["the app's file", "the plugin"])
def test_a_swap_between_check_and_use(configured, what, count):
    """Each freeze reads what it has judged, or refuses; never the stranger's."""
    site = configured
    path = FILES[what](site)
    evil_lock = site.locks / "evil.lock"
    site._own_file(evil_lock)
    if what == "the plugin":
        evil = path.read_bytes().replace(b"\0flock\0", b"\0evil!\0")
    else:
        evil = path.read_bytes().replace(b"one.lock", b"evil.lock")
    assert evil != path.read_bytes()
    swapper = Swapper(path, evil)
    statuses = []
    try:
        for _ in range(60):
            answer = site.hook.freeze()
            invariants.answered(site, "freeze", answer)
            statuses.append(answer.status)
            if answer.status == 0:
                (app,) = site.record()["apps"]
                assert app["method"] == "flock"
                assert site.held_apps() == ["one"]
            site.hook.thaw()
    finally:
        swapper.stop()
    count(cycles=len(statuses), faults=swapper.swaps)
    assert set(statuses) == {0, 1}, "both have to be met"
