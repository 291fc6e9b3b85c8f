# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: those of tests/integration, and a site."""

import importlib.util
import sys
from pathlib import Path

import pytest

INTEGRATION = Path(__file__).resolve().parent.parent / "integration"
sys.path.insert(0, str(INTEGRATION))

_spec = importlib.util.spec_from_file_location("integration_conftest", INTEGRATION / "conftest.py")
_integration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_integration)
_tail, _witness = _integration._tail, _integration._witness
globals().update({name: value for name, value in vars(_integration).items()
                  if not name.startswith("_")})

from faults.site import Site, use_memory  # noqa: E402

use_memory()


@pytest.fixture
def new_site(request, directory, journal):
    """Makes sites, their daemon not started: new_site(freeze_timeout="2s")."""
    sites = []

    def make(name="site", **settings):
        site = Site(directory / name, **settings)
        sites.append(site)
        _witness(request, f"{name}: daemon's stderr", lambda: _tail(site.daemon.log))
        _witness(request, f"{name}: log file", lambda: _tail(site.log))
        _witness(request, f"{name}: journal", lambda: "\n".join(journal.messages()[-60:]))
        return site

    yield make
    for site in sites:
        site.close()
    for site in sites:
        assert not site.complaints()


@pytest.fixture
def site(new_site):
    """A site whose daemon runs."""
    site = new_site()
    site.daemon.start()
    return site


def pytest_addoption(parser):
    parser.addoption("--seed", default="1", help="what the samples are drawn by")
    parser.addoption("--every", action="store_true", help="no samples: every system call")


class Sampling:
    def __init__(self, config):
        self.seed = config.getoption("--seed")
        self.every = config.getoption("--every")


@pytest.fixture
def sampling(request):
    return Sampling(request.config)


@pytest.fixture
def count(record_property):
    """count(cycles=1, faults=2) adds to what is told at the end."""
    def add(**numbers):
        for name, number in numbers.items():
            record_property(name, int(number))
    return add


@pytest.fixture(autouse=True)
def one_case(record_property):
    record_property("cases", 1)


def pytest_terminal_summary(terminalreporter):
    totals = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, number in getattr(report, "user_properties", []):
                if getattr(report, "when", None) == "call":
                    totals[name] = totals.get(name, 0) + number
    if totals:
        counts = ", ".join(f"{number} {name}" for name, number in sorted(totals.items()))
        terminalreporter.write_line(
            f"seed {terminalreporter.config.getoption('--seed')}: {counts}")
