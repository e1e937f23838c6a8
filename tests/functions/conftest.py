"""Functions of the emulator, and Outpost on it: once with frozen instances, once with new ones for every event."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local.aws.fork_server import ForkServer
from local.aws.function import Function
from local.aws.instance import REGION, Definition
from local.aws.records import Record
from local.emulator.emulator import LIBRARIES
from local.processes import HOST
from tests.contract.conftest import Deploy as DeployOutpost
from tests.contract.conftest import config, configured, hub, other_hub
from tests.support.functions import KEYS, OutpostFunctions
from tests.support.outpost import OutpostProcess
from tests.support.postgresql import Cluster

__all__ = ["configured", "hub", "other_hub"]

Deploy = Callable[..., Function]
DeployFunctions = Callable[..., OutpostFunctions]


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Deploy a function of this package: its name, changes of its definition, options of :class:`Function`."""
    deployed: list[Function] = []

    def new(name: str, definition: dict[str, Any] | None = None, **options: Any) -> Function:
        made: dict[str, Any] = {"name": name, "log": tmp_path / "log", "init_seconds": 60, **(definition or {})}
        deployed.append(Function(Definition(handler=f"tests.functions.{name}", **made), **options))
        return deployed[-1]

    yield new
    for function in deployed:
        function.close()


@pytest.fixture
def noting(deploy: Deploy, tmp_path: Path) -> Function:
    """A function that writes down what it gets."""
    return deploy("handlers.noting", {"environment": {"NOTES": str(tmp_path / "notes")}})


def noted(folder: Path) -> Counter[str]:
    """What has been written down, and how often."""
    notes = folder / "notes"
    return Counter(notes.read_text().splitlines()) if notes.exists() else Counter()


@pytest.fixture
def records() -> list[Record]:
    """For an observer: ``deploy(NAME, observer=records.append)``."""
    return []


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The endpoint of SQS and the like: moto on loopback."""
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="session")
def sqs(aws: str) -> Any:
    """A client of SQS."""
    return boto3.client("sqs", endpoint_url=aws, region_name=REGION, **KEYS)


@pytest.fixture(scope="session")
def migrated(cluster: Cluster, aws: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database as ``handlers.aws.migrate`` leaves it, for others to be copies of."""
    env = cluster.create_database("migrated")
    OutpostFunctions(tmp_path_factory.mktemp("migrated"), config(), env, aws=aws, cold=True).migrate()
    return "migrated"


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Forks the processes of cold functions."""
    made = ForkServer(LIBRARIES)
    yield made
    made.close()


@pytest.fixture
def dead_fork_server() -> ForkServer:
    """One that has ended."""
    made = ForkServer(LIBRARIES)
    made.close()
    return made


@pytest.fixture(scope="session")
def functions(cluster: Cluster, aws: str, migrated: str, fork_server: ForkServer) -> DeployFunctions:
    """Deploy Outpost as functions, each time with a database of its own."""
    databases: dict[str, OutpostFunctions] = {}

    def new(folder: Path, config: str, env: Mapping[str, str] | None = None, **options: Any) -> OutpostFunctions:
        for name in [name for name, outpost in databases.items() if outpost.closed]:
            del databases[name]
            cluster.drop_database(name)
        name = f"d{uuid.uuid4().hex}"
        env = {**cluster.create_database(name, migrated), **(env or {})}
        options.setdefault("fork_server", fork_server if options["cold"] else None)
        databases[name] = OutpostFunctions(folder, config, env, aws=aws, **options)
        return databases[name]

    return new


@pytest.fixture(scope="session", params=["warm", "cold"])
def deploy_outpost(request: pytest.FixtureRequest, functions: DeployFunctions) -> DeployOutpost:
    """What the contract suite runs on."""
    return partial(functions, cold=request.param == "cold")


@pytest.fixture(scope="session")
def outpost(deploy_outpost: DeployOutpost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutpostProcess]:
    """The Outpost that the contract suite shares."""
    running = deploy_outpost(tmp_path_factory.mktemp("functions"), config())
    try:
        yield running.start()
    finally:
        running.close()
