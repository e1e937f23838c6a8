"""Fixtures of all suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgresql
from tests.support.recording_hub import RecordingHub


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql.Cluster]:
    """A PostgreSQL server. Where none is installed the test is skipped, unless the checks require it."""
    if postgresql.programs() is None and not postgresql.REQUIRED:
        pytest.skip("no PostgreSQL server is installed here; .ci/run installs one and runs this")
    folder = tmp_path_factory.mktemp("postgresql")
    _let_other_users_pass(folder)
    with postgresql.cluster(folder) as running:
        yield running


def _let_other_users_pass(folder: Path) -> None:
    """pytest's folders are closed to everybody else, but PostgreSQL does not run as root."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == folder.stat().st_uid and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)


@pytest.fixture
def hub_stub() -> Iterator[RecordingHub]:
    """A hub that writes down what it is told."""
    with RecordingHub() as hub:
        yield hub
