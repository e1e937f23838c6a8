"""An account of AWS of one's own, and an environment that is as before afterwards."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from infra.cluster_access import reach_cluster
from infra.kubeconfig import Kubeconfig
from infra.settings import read_settings
from tests.support import aws as aws_support
from tests.support.aws import Aws
from tests.support.clock import Clock

Reach = Callable[[], Kubeconfig]


@pytest.fixture(scope="session")
def moto() -> Iterator[Aws]:
    """The server behind all tests' accounts."""
    with aws_support.server() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[MutableMapping[str, str]]:
    """This process's environment with what Outpost needs at least, for one test."""
    before, root = dict(os.environ), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    os.environ.update(
        OUTPOST_CRYPT_KEY=Fernet.generate_key().decode(),
        OUTPOST_CONFIG_FILE=str(tmp_path / "outpost_config.py"),
        OUTPOST_FLAVORS_PATH=str(tmp_path / "flavors.yaml"),
        OUTPOST_CREDITS_PATH=str(tmp_path / "credits.yaml"),
        SQL_DATABASE_URL=str(tmp_path / "outpost.sqlite"),
        usernames="hub1",
        passwords="password of hub1",
    )
    (tmp_path / "outpost_config.py").touch()
    yield os.environ
    os.environ.clear()
    os.environ.update(before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def aws(moto: Aws, environ: MutableMapping[str, str]) -> Iterator[Aws]:
    """An empty account, which the environment points at."""
    environ.update(moto.env)
    aws_support.forget_clients()
    moto.reset()
    yield moto
    moto.reset()
    aws_support.forget_clients()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def reach(clock: Clock, environ: MutableMapping[str, str]) -> Iterator[Reach]:
    """Reach the cluster of the environment, as at a start-up."""
    made: list[Kubeconfig] = []

    def at_start_up() -> Kubeconfig:
        found = reach_cluster(read_settings(), environ, clock)
        assert found is not None
        made.append(found)
        return found

    yield at_start_up
    for kubeconfig in made:
        kubeconfig.close()
