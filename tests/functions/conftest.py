"""Functions of the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from local.aws.function import Function
from local.aws.instance import REGION, Definition
from local.processes import HOST

Deploy = Callable[..., Function]


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Deploy]:
    """Deploy a function of this package: its name, changes of its definition, options of :class:`Function`."""
    deployed: list[Function] = []

    def new(name: str, definition: dict[str, Any] | None = None, **options: Any) -> Function:
        made: dict[str, Any] = {"log": tmp_path / "log", "init_seconds": 60, **(definition or {})}
        deployed.append(Function(Definition(name, f"tests.functions.{name}", **made), **options))
        return deployed[-1]

    yield new
    for function in deployed:
        function.close()


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
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("sqs", endpoint_url=aws, region_name=REGION, **keys)
