"""One Outpost on each database, shared by the suite; each test leaves no service behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.outpost import HubCalls, OutpostProcess, servers_in

Configured = Callable[..., tuple[OutpostProcess, HubCalls]]

CONFIG = """
import sys
sys.path.insert(0, {root!r})
c.JupyterHubOutpost.spawner_class = "tests.support.zoo.ZooSpawner"
c.ZooSpawner.motto = "from the file"
c.ZooSpawner.badges = {{"file": "yes"}}
c.LocalProcessSpawner.interrupt_timeout = 2
c.Spawner.start_timeout = 3
c.JupyterHubOutpost.log_level = "DEBUG"
{more}
"""


def config(more: str = "") -> str:
    """A configuration file for the zoo."""
    from tests.support.outpost import ROOT

    return CONFIG.format(root=str(ROOT), more=more)


class Deploy(Protocol):
    """Makes an Outpost that is not started yet."""

    def __call__(self, folder: Path, config: str, env: Mapping[str, str] | None = None) -> OutpostProcess: ...


@pytest.fixture(scope="session")
def deploy_outpost() -> Deploy:
    """How Outpost is deployed; ``tests/functions`` runs this suite on functions."""
    return OutpostProcess


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def outpost(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, deploy_outpost: Deploy
) -> Iterator[OutpostProcess]:
    """A running Outpost with the zoo as its Spawner."""
    env = {}
    if request.param == "postgresql":
        env = request.getfixturevalue("cluster").create_database("contract")
    running = deploy_outpost(tmp_path_factory.mktemp(request.param), config(), env)
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture
def hub(outpost: OutpostProcess) -> Iterator[HubCalls]:
    """A hub that may call it, and that stops what it has started."""
    with outpost.hub() as calls:
        yield calls
        (outpost.folder / "closing").touch()
        for service in calls.services():
            calls.stop(service["name"], service["start_id"])
        (outpost.folder / "closing").unlink()
        assert calls.services() == []
        assert servers_in(outpost.folder) == []


@pytest.fixture
def other_hub(outpost: OutpostProcess) -> Iterator[HubCalls]:
    """Another hub."""
    with outpost.hub("hub2") as calls:
        yield calls
        for service in calls.services():
            calls.stop(service["name"], service["start_id"])


@pytest.fixture
def configured(tmp_path: Path, deploy_outpost: Deploy) -> Iterator[Configured]:
    """Start an Outpost with further lines in its configuration file."""
    started: list[tuple[OutpostProcess, HubCalls]] = []

    def start(more: str, **env: str) -> tuple[OutpostProcess, HubCalls]:
        running = deploy_outpost(tmp_path, config(more), env)
        started.append((running, running.hub()))
        running.start()
        return started[-1]

    yield start
    for running, calls in started:
        calls.http.close()
        running.close()
