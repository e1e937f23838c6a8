"""Outpost on functions-framework, on its development server and on gunicorn; each has a database of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.contract.conftest import Deploy, config, configured, hub, other_hub
from tests.support.cloud_run import MODES, OutpostOnCloudRun
from tests.support.outpost import OutpostProcess
from tests.support.postgresql import Cluster

__all__ = ["configured", "hub", "other_hub"]

ON_GUNICORN = pytest.mark.parametrize("deploy_outpost", ["gunicorn"], indirect=True, scope="session")
"""For what the development server would only do once more."""

DeployFunctions = Callable[..., OutpostOnCloudRun]


@pytest.fixture(scope="session")
def migrated(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database as the function ``migrate`` leaves it, for others to be copies of."""
    env = cluster.create_database("google_migrated")
    outpost = OutpostOnCloudRun(tmp_path_factory.mktemp("migrated"), config(), env)
    try:
        outpost.deploy()
        answer = outpost.invoke("migrate")
        assert answer.json() == {"schema": "current"}, outpost.tail()
    finally:
        outpost.close()
    return "google_migrated"


@pytest.fixture(scope="session")
def functions(cluster: Cluster, migrated: str) -> DeployFunctions:
    """Deploy Outpost as functions, each time with a database of its own."""
    databases: dict[str, OutpostOnCloudRun] = {}

    def new(
        folder: Path, config: str, env: Mapping[str, str] | None = None, mode: str = MODES[-1]
    ) -> OutpostOnCloudRun:
        for name in [name for name, outpost in databases.items() if outpost.closed]:
            del databases[name]
            cluster.drop_database(name)
        name = f"g{uuid.uuid4().hex}"
        env = {**cluster.create_database(name, migrated), **(env or {})}
        databases[name] = OutpostOnCloudRun(folder, config, env, mode=mode)
        return databases[name]

    return new


@pytest.fixture(scope="session", params=MODES)
def deploy_outpost(request: pytest.FixtureRequest, functions: DeployFunctions) -> Deploy:
    """What the contract suite runs on."""
    return partial(functions, mode=request.param)


@pytest.fixture(scope="session")
def outpost(deploy_outpost: Deploy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutpostProcess]:
    """The Outpost that the contract suite shares."""
    running = deploy_outpost(tmp_path_factory.mktemp("functions"), config())
    try:
        yield running.start()
    finally:
        running.close()
