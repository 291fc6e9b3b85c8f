# SPDX-License-Identifier: GPL-2.0-or-later
"""What has to come of a cycle, from what its apps were told to do."""

# A phase that is asked of an app, and what in it comes to the same as a failure.
FAILS = {
    "ready": {"fail", "hang", "crash", "exit", "babble"},
    "prepare": {"fail", "hang", "wait", "crash", "exit", "late", "lies", "babble"},
    "freeze": {"fail", "hang", "wait", "crash", "exit", "late", "lost", "lies", "babble"},
    "check": {"fail", "hang", "wait", "crash", "exit", "late", "babble"},
}
# In check 'lost' is a race with Commit: either answer is right, if the thaw tells.
RACES = {("check", "lost")}
THAW_FAILS = {"fail", "hang", "wait", "crash", "exit", "late", "lost", "babble"}


def skipped(app):
    return app.does("prepare") == "skip" and app.not_running == "skip"


def freezes(app):
    """True, False, or None when both are right."""
    if app.does("prepare") == "skip":
        return app.not_running == "skip"
    if any(app.does(phase) in fails for phase, fails in FAILS.items()):
        return False
    if any((phase, app.does(phase)) in RACES for phase in FAILS):
        return None
    return True


def freeze_succeeds(apps):
    """True, False, or None when both are right (I1)."""
    answers = [freezes(app) for app in apps if app.required]
    if False in answers:
        return False
    return None if None in answers else True


def has_to_be_held(app):
    """After a freeze that succeeded."""
    return app.required and not skipped(app) and freezes(app) is True


def thaw_consistent(apps, lost=()):
    """After a freeze that succeeded, with the apps of these names lost since (I2)."""
    return not any(app.required and not skipped(app) and
                   (app.name in lost or freezes(app) is not True or
                    app.does("thaw") in THAW_FAILS) for app in apps)
