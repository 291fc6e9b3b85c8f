# SPDX-License-Identifier: GPL-2.0-or-later
"""Random cycles with random faults, drawn by a seed."""

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass, field

from harness import process
from harness.varlink import VarlinkError
from harness.waiting import wait_until

from . import invariants, oracle
from .site import App
from .steps import Tripwire

SETTINGS = {"freeze_timeout": "3s", "hold_attempt": "600ms", "thaw_timeout": "1500ms",
            "script_thaw_timeout": "500ms", "hold_timeout": "60s"}

QUICK = ["fail", "crash", "exit"]
PHASES = {
    "ready": QUICK,
    "prepare": [*QUICK, "skip", "lies", "hang", "wait"],
    "freeze": [*QUICK, "lost", "lies", "hang", "wait", "late"],
    "check": [*QUICK, "lost", "hang"],
    "thaw": [*QUICK, "lost", "lies", "hang", "wait"],
    "abort": ["crash", "exit", "hang"],
}
SLOW = {"hang", "wait", "late"}

# What is done to the cycle from outside, and how often of 100.
DISTURBANCES = {
    "nothing": 44, "lose": 7, "kill worker": 6, "stop worker": 2, "hook freezes": 10,
    "hook thaws": 6, "kill daemon": 3, "end daemon": 3, "daemon in freeze": 4, "release": 3,
    "freeze again": 4, "thaw alone": 2, "two hooks": 2, "apps removed": 2, "no record": 2,
}


@dataclass
class Plan:
    """One cycle, all of it drawn before it begins."""
    apps: list
    disturbance: str
    victim: int                 # the app that is met, if one is
    number: int                 # the signal, if one is sent
    call: int                   # the system call at which it is
    delay: float
    faults: int = field(init=False)

    def __post_init__(self):
        self.faults = sum(len(app.faults) for app in self.apps) + (self.disturbance != "nothing")


def draw_app(rng, name):
    app = App(name, "required" if rng.random() < 0.7 else "optional",
              "skip" if rng.random() < 0.5 else "fail")
    if rng.random() < 0.3:
        phase = rng.choice(list(PHASES))
        fault = rng.choice(PHASES[phase])
        if fault not in SLOW or rng.random() < 0.4:
            app.faults[phase] = fault
    return app


def draw(rng):
    apps = [draw_app(rng, f"app{i}") for i in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    return Plan(apps, rng.choices(list(DISTURBANCES), DISTURBANCES.values())[0],
                rng.randrange(len(apps)), rng.choice([signal.SIGKILL, signal.SIGTERM]),
                rng.randrange(60, 260), rng.random() * 0.03)


class Soak:
    def __init__(self, site, seed):
        self.site = site
        self.rng = random.Random(seed)
        self.counts = {"cycles": 0, "faults": 0, "held": 0, "refused": 0, "inconsistent": 0}
        self.plan = None
        site.daemon.start()

    def run(self, cycles):
        while self.counts["cycles"] < cycles:
            self.plan = draw(self.rng)
            self.site.configure(*self.plan.apps)
            for app in self.plan.apps:
                app.options["lose"] = self.site.fifo(app)
            self.site.configure(*self.plan.apps)
            getattr(self, "do_" + self.plan.disturbance.replace(" ", "_"))()
            self.counts["cycles"] += 1
            self.counts["faults"] += self.plan.faults

    # parts

    def freeze(self, **more):
        """True when the apps are held now."""
        more.setdefault("consistent", oracle.freeze_succeeds(self.plan.apps))
        answer = self.site.hook.freeze()
        invariants.after(self.site, "freeze", answer, **more)
        self.counts["held" if answer.status == 0 else "refused"] += 1
        return answer.status == 0

    def thaw(self, lost=(), **more):
        more.setdefault("consistent", oracle.thaw_consistent(self.plan.apps, lost))
        answer = self.site.hook.thaw()
        invariants.after(self.site, "thaw", answer, **more)
        self.counts["inconsistent"] += answer.status != 0

    @property
    def victim(self):
        return self.plan.apps[self.plan.victim]

    def worker(self):
        """The pid of the victim's worker, or None when it has none any more."""
        for pid, words in self.site.children():
            if f"--app {self.victim.name} " in words:
                return pid
        return None

    def restart(self):
        self.site.daemon.kill()
        self.site.daemon.start()
        self.site.hook.thaw()       # takes the verdict, if one is left

    # disturbances

    def do_nothing(self):
        if self.freeze():
            self.thaw()

    def do_lose(self):
        if self.freeze():
            self.site.lose(self.victim)
            wait_until(lambda: not self.site.held(self.victim), "the lock goes")
            self.thaw(lost=[self.victim.name])

    def do_kill_worker(self):
        if self.freeze():
            pid = self.worker()
            if pid is not None:
                os.kill(pid, self.plan.number)
                wait_until(lambda: not self.site.held(self.victim), "the lock goes")
            self.thaw(lost=[self.victim.name] if pid is not None else [])

    def do_stop_worker(self):
        if self.freeze():
            pid = self.worker()
            if pid is not None:
                process.stop(pid)
            self.thaw(lost=[self.victim.name] if pid is not None else [])

    def do_hook_freezes(self):
        trip = Tripwire(self.site, self.plan.call, self.plan.number)
        answer = self.site.hook.begin("freeze", trip.command).wait()
        trip.note.unlink()
        if answer.status == 0:
            invariants.after(self.site, "freeze", answer, consistent=None)
            self.thaw()
        elif answer.status > 0:
            invariants.after(self.site, "freeze", answer, consistent=False)
        else:
            wait_until(lambda: self.site.daemon.status()["state"] in ("idle", "held"), "an end")
            if self.site.daemon.status()["state"] == "held":
                self.thaw()
            else:
                invariants.after(self.site, "freeze", answer, killed=True, grace=3.0)

    def do_hook_thaws(self):
        if self.freeze():
            trip = Tripwire(self.site, self.plan.call, self.plan.number)
            answer = self.site.hook.begin("thaw", trip.command).wait()
            trip.note.unlink()
            killed = answer.status < 0
            if killed:
                # it asked or not; its verdict may stand in the record, which its child
                # writes, and the next one then has nothing to ask for
                answer = self.site.hook.thaw()
            invariants.after(self.site, "thaw", answer, grace=2.0, record=not killed)

    def do_kill_daemon(self):
        if self.freeze():
            self.site.daemon.kill()
            required = any(oracle.has_to_be_held(app) for app in self.plan.apps)
            self.thaw(daemon="away", grace=1.0, consistent=False if required else None)
            self.site.daemon.start()

    def do_end_daemon(self):
        if self.freeze():
            begin = time.monotonic()
            invariants.require(self.site.daemon.terminate() == 0, "SIGTERM", "not 0")
            invariants.require(time.monotonic() - begin < 1 + invariants.SLACK, "SIGTERM", "late")
            self.site.daemon.start()
            self.thaw(grace=1.0, consistent=False)

    def do_daemon_in_freeze(self):
        call = self.site.hook.begin("freeze")
        time.sleep(self.plan.delay)
        self.site.daemon.process.send_signal(self.plan.number)
        answer = call.wait()
        if answer.status == 0:
            # it was told after Commit
            wait_until(lambda: not self.site.held_apps(), "the locks go", 2.0)
        else:
            invariants.after(self.site, "freeze", answer, daemon="away", grace=2.0)
        self.restart()

    def do_release(self):
        if self.freeze():
            with self.site.daemon.client() as client:
                client.call("io.quiesced.Release", reason="the soak")
            invariants.require(not self.site.held_apps(), "I3", "held after Release")
            # a hold that was lost before is lost all the same
            held = any(oracle.has_to_be_held(app) for app in self.plan.apps)
            self.thaw(consistent=False if held else None)

    def do_freeze_again(self):
        if self.freeze():
            if self.freeze():
                self.thaw()

    def do_thaw_alone(self):
        answer = self.site.hook.thaw()
        invariants.after(self.site, "thaw", answer, consistent=True, record=False)

    def do_two_hooks(self):
        """The second waits for the first, and ends its cycle."""
        calls = [self.site.hook.begin("freeze") for _ in range(2)]
        answers = [call.wait() for call in calls]
        for answer in answers:
            invariants.require(answer.seconds < self.site.budget("freeze") + invariants.SLACK,
                               "I4", str(answer))
        if self.site.daemon.status()["state"] == "held":
            self.thaw(consistent=None)
        else:
            invariants.require(not self.site.held_apps(), "I3", "held by nobody's cycle")

    def do_apps_removed(self):
        if self.freeze():
            for path in (self.site.config / "apps.d").glob("*.conf"):
                path.unlink()
            self.thaw()

    def do_no_record(self):
        """The state directory cannot be written into."""
        aside = self.site.state.with_name("state-aside")
        self.site.state.rename(aside)
        self.site.state.touch()
        try:
            if self.freeze(record=False):
                self.thaw(record=False)
        finally:
            self.site.state.unlink()
            aside.rename(self.site.state)


def describe(soak):
    """What is to be told with a violation."""
    with contextlib.suppress(OSError, VarlinkError, EOFError):
        return f"cycle {soak.counts['cycles']}: {soak.plan}; {soak.site.daemon.status()}"
    return f"cycle {soak.counts['cycles']}: {soak.plan}"
