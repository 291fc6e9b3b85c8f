# SPDX-License-Identifier: GPL-2.0-or-later
"""Every phase, every fault, required and optional, alone and among others."""

import pytest

from faults import invariants, oracle
from faults.site import App

FAULTS = {
    "ready": ["fail", "hang", "crash", "exit", "babble"],
    "prepare": ["fail", "skip", "hang", "wait", "crash", "exit", "late", "lies", "babble"],
    "freeze": ["fail", "hang", "wait", "crash", "exit", "late", "lost", "lies", "babble"],
    "check": ["fail", "hang", "wait", "crash", "exit", "late", "lost", "lies", "babble"],
    "thaw": ["fail", "hang", "wait", "crash", "exit", "late", "lost", "lies", "babble"],
    # asked for when a neighbour fails, or when the phase before failed
    "abort": ["hang", "crash", "exit"],
}
CASES = [(phase, fault) for phase, faults in FAULTS.items() for fault in faults]


def apps_of(phase, fault, policy, company):
    faults = {phase: fault}
    if phase == "abort":
        faults["freeze" if company == "alone" else "thaw"] = "fail"
    apps = [App("faulty", policy, faults=faults)]
    if company == "company":
        apps += [App("healthy"), App("bystander", "optional")]
        if phase == "abort":
            apps.append(App("zfails", faults={"check": "fail"}))
    return apps


@pytest.mark.parametrize("company", ["alone", "company"])
@pytest.mark.parametrize("policy", ["required", "optional"])
@pytest.mark.parametrize("phase, fault", CASES, ids=[f"{p}-{f}" for p, f in CASES])
def test_fault(site, phase, fault, policy, company):
    apps = apps_of(phase, fault, policy, company)
    site.configure(*apps)
    freeze = site.hook.freeze()
    invariants.after(site, "freeze", freeze, consistent=oracle.freeze_succeeds(apps))
    if freeze.status != 0:
        assert any(f"'{app.name}'" in freeze.output for app in apps), freeze
    thaw = site.hook.thaw()
    invariants.after(site, "thaw", thaw, consistent=freeze.status != 0
                     or oracle.thaw_consistent(apps))
    if thaw.status != 0:
        assert "'faulty'" in thaw.output, thaw
    invariants.next_cycle_works(site, "faulty")


@pytest.mark.parametrize("policy", ["required", "optional"])
def test_not_running_may_be_skipped(site, policy):
    site.configure(App("faulty", policy, "skip", {"prepare": "skip"}), App("healthy"))
    freeze = site.hook.freeze()
    invariants.after(site, "freeze", freeze, consistent=True)
    assert site.held_apps() == ["healthy"]
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)


@pytest.mark.parametrize("policy", ["required", "optional"])
@pytest.mark.parametrize("company", ["alone", "company"])
def test_lost_while_held(site, policy, company):
    faulty = App("faulty", policy)
    faulty.options["lose"] = site.fifo(faulty)
    apps = [faulty] + ([App("healthy")] if company == "company" else [])
    site.configure(*apps)
    invariants.after(site, "freeze", site.hook.freeze(), consistent=True)
    site.lose(faulty)
    invariants.wait_until(lambda: not site.held(faulty), "it lets go")
    assert site.held_apps() == [app.name for app in apps[1:]], "the others stay held"
    invariants.after(site, "thaw", site.hook.thaw(),
                     consistent=oracle.thaw_consistent(apps, lost=["faulty"]))
    invariants.next_cycle_works(site)


def test_many_apps_fail_in_many_ways(site):
    """Each is named, and none keeps another one's lock."""
    apps = [App(f"app-{phase}-{fault}", "optional", faults={phase: fault})
            for phase, fault in CASES[:30]] + [App("healthy")]
    site.configure(*apps)
    freeze = site.hook.freeze()
    invariants.after(site, "freeze", freeze, consistent=True)
    failed = {app["name"] for app in site.record()["apps"] if app["outcome"] == "failed"}
    assert failed >= {app.name for app in apps if oracle.freezes(app) is False
                      and "freeze-lost" not in app.name and "freeze-lies" not in app.name
                      and "check" not in app.name}
    invariants.after(site, "thaw", site.hook.thaw(), consistent=True)
    invariants.next_cycle_works(site)
