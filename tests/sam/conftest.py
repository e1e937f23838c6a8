"""The packages that ``sam build`` makes, and what they need around them: AWS (moto) and PostgreSQL on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.sam import sam
from tests.support import aws, docker_engine, postgresql
from tests.support.aws import Aws
from tests.support.outpost import HUBS

CONFIG = Path(__file__).parent / "outpost_config.py"


@pytest.fixture(scope="session", autouse=True)
def toolchain() -> None:
    """Where it is not installed the suite is skipped, unless the checks require it."""
    if lacking := sam.missing():
        reason = f"{lacking} here; .ci/sam brings it and runs this"
        if sam.REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAM's home folder."""
    return tmp_path_factory.mktemp("sam")


@pytest.fixture(scope="session")
def built(toolchain: None, home: Path) -> Path:
    """The folder of what ``sam build`` makes of this tree."""
    folder = home / "build"
    sam.run([str(sam.program()), "build", "--build-dir", str(folder), *sam.architecture()], home)
    return folder


@dataclass(frozen=True)
class Surroundings:
    """What the functions call, and their environment that says where it is."""

    aws: Aws
    variables: dict[str, str]


@pytest.fixture(scope="session")
def surroundings(toolchain: None) -> Iterator[Surroundings]:
    """A database, a queue, a secret and the configuration file in S3, for containers on Docker's bridge only."""
    address = docker_engine.bridge_address()
    with (
        aws.server(address) as stand_in,
        tempfile.TemporaryDirectory() as folder,
        postgresql.cluster(Path(folder), address) as cluster,
    ):
        key = Fernet.generate_key().decode()
        stand_in.secret("outpost", OUTPOST_CRYPT_KEY=key, usernames=";".join(HUBS), passwords=";".join(HUBS.values()))
        variables = {
            "AWS_ENDPOINT_URL": stand_in.url,
            "OUTPOST_QUEUE_URL": stand_in.queue(),
            "OUTPOST_SECRETS": "outpost",
            "OUTPOST_CONFIG_FILE": stand_in.put("settings", "outpost_config.py", CONFIG.read_text()),
            **cluster.create_database("functions"),
            "SQL_HOST": address,
            "SQL_SSLMODE": "disable",
        }
        yield Surroundings(stand_in, variables)


@pytest.fixture(scope="session")
def layered(home: Path, built: Path, surroundings: Surroundings) -> sam.Sam:
    """The functions as they are deployed. Slow: SAM makes an image of the layer for each container."""
    template = yaml.safe_load((built / "template.yaml").read_text())
    _declare_endpoint(template)
    path = built / "layered.yaml"
    path.write_text(yaml.safe_dump(template))
    return sam.Sam(_folder(home, "layered"), path, surroundings.variables)


@pytest.fixture(scope="session")
def functions(home: Path, built: Path, surroundings: Surroundings) -> sam.Sam:
    """The functions with the layer's files beside their own, which SAM needs no image for, and a schema."""
    together = home / "together"
    for part in (built / sam.LAYER / "python", built / "ApiFunction"):
        shutil.copytree(part, together, copy_function=os.link, dirs_exist_ok=True)
    template = yaml.safe_load((built / "template.yaml").read_text())
    del template["Globals"]["Function"]["Layers"]
    _declare_endpoint(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str(together)
    path = built / "together.yaml"
    path.write_text(yaml.safe_dump(template))
    made = sam.Sam(_folder(home, "functions"), path, surroundings.variables)
    assert made.invoke("MigrateFunction", {}).payload == {"schema": "current"}
    return made


def _declare_endpoint(template: dict[str, Any]) -> None:
    """SAM gives functions no variable that the template does not name."""
    template["Globals"]["Function"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = ""


def _folder(home: Path, name: str) -> Path:
    folder = home / name
    folder.mkdir()
    return folder
