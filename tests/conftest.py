"""Fixtures of all suites."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import postgresql
from tests.support.recording_hub import RecordingHub

settings.register_profile("outpost", deadline=None)  # speed belongs to bench/
settings.load_profile("outpost")


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL server. Where none is installed the test is skipped, unless the checks require it."""
    postgresql.require()
    # Not below pytest's folder, which is closed to everybody else: PostgreSQL does not run as root.
    with tempfile.TemporaryDirectory() as folder, postgresql.cluster(Path(folder)) as running:
        yield running


@pytest.fixture
def hub_stub() -> Iterator[RecordingHub]:
    """A hub that writes down what it is told."""
    with RecordingHub() as hub:
        yield hub
