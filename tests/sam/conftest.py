"""The packages that ``sam build`` makes, and what they need around them: AWS (moto) and PostgreSQL on this machine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

from tests.sam import sam
from tests.support import postgresql
from tests.support.outpost import HUBS

CONFIG = Path(__file__).parent / "outpost_config.py"
DUMMY = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing", "region_name": sam.REGION}


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
    """What the functions call, and where to find it."""

    variables: dict[str, str]
    aws_url: str

    def aws(self, service: str) -> Any:
        """A client of the stand-in for AWS."""
        return boto3.client(service, endpoint_url=self.aws_url, **DUMMY)


@pytest.fixture(scope="session")
def surroundings(toolchain: None) -> Iterator[Surroundings]:
    """A database, a queue, a secret and the configuration file in S3, for containers on Docker's bridge only."""
    address = sam.bridge_address()
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder, postgresql.cluster(Path(folder), address) as cluster:
            url = f"http://{address}:{server.get_host_and_port()[1]}"
            variables = {"AWS_ENDPOINT_URL": url, **cluster.create_database("functions"), "SQL_HOST": address}
            yield _furnished(Surroundings({**variables, "SQL_SSLMODE": "disable"}, url))
    finally:
        server.stop()


def _furnished(surroundings: Surroundings) -> Surroundings:
    secret = {
        "OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(),
        "usernames": ";".join(HUBS),
        "passwords": ";".join(HUBS.values()),
    }
    surroundings.aws("secretsmanager").create_secret(Name="outpost", SecretString=json.dumps(secret))
    s3 = surroundings.aws("s3")
    s3.create_bucket(Bucket="settings", CreateBucketConfiguration={"LocationConstraint": sam.REGION})
    s3.put_object(Bucket="settings", Key="outpost_config.py", Body=CONFIG.read_bytes())
    queue = surroundings.aws("sqs").create_queue(QueueName="wake-ups")["QueueUrl"]
    surroundings.variables.update(
        OUTPOST_QUEUE_URL=queue, OUTPOST_SECRETS="outpost", OUTPOST_CONFIG_FILE="s3://settings/outpost_config.py"
    )
    return surroundings


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
