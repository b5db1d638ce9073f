"""A vendor that answers as a test wants, an installation that trains there, and a run in training."""

import dataclasses

import pytest

from tests.workers.jobs.watched import Vendor, Vendors, add_run
from workers.jobs import watching as watcher


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(watcher, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(watcher, "GATHER_SECONDS", 0.02)


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
def vendors(vendor):
    return Vendors(vendor)


@pytest.fixture
def place(context, vendors):
    return dataclasses.replace(context, providers=vendors)


@pytest.fixture
def run(place):
    with place.db.write() as session:
        return add_run(session)
