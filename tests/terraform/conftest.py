"""Terraform with the stand-in for Google's provider, and what an operator has prepared."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.terraform import cloud
from tests.terraform.cloud import DESCRIPTION, PROJECT, REGION, Terraform
from tests.terraform.state import Deployed

CLUSTER = f"projects/{PROJECT}/locations/{REGION}/clusters/research"
OPERATOR = "user:operator@example.org"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it needs Terraform."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.terraform)


@pytest.fixture(scope="session", autouse=True)
def toolchain() -> None:
    """Where it is not installed the suite is skipped, unless the checks require it."""
    if lacking := cloud.missing():
        reason = f"{lacking} here; .ci/terraform brings it and runs this"
        if cloud.REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def secret() -> dict[str, str]:
    """What the operator has put into Secret Manager."""
    made = {name: secrets.token_hex(16) for name in ("passwords", "SQL_PASSWORD")}
    return made | {"OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(), "usernames": "hub1"}


@pytest.fixture(scope="session")
def schema(toolchain: None, secret: dict[str, str]) -> dict[str, Any]:
    """Google's provider, as far as it is used."""
    return cloud.schema(DESCRIPTION, secret)


@pytest.fixture(scope="session")
def attached(schema: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stand-in, running."""
    with cloud.serving(schema, tmp_path_factory.mktemp("provider")) as attached:
        yield attached


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The least that must be said."""
    home = tmp_path_factory.mktemp("operator")
    (home / "source.zip").write_bytes(b"zip")
    (home / "config").mkdir()
    (home / "config/outpost_config.py").write_text("c.JupyterHubOutpost.flavors = {}\n")
    (home / "config/flavors.yaml").write_text("flavors: {}\n")
    (home / "config/notes.txt").write_text("not Outpost's\n")
    folders = {"source_zip": str(home / "source.zip"), "config_folder": str(home / "config")}
    return {"project": PROJECT, "region": REGION, **folders}


@pytest.fixture(scope="session")
def terraform(attached: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Terraform]:
    """Terraform with a state of its own, for the description or a changed copy of it."""

    def make(folder: Path = DESCRIPTION) -> Terraform:
        home = tmp_path_factory.mktemp("terraform")
        (home / "cli.tfrc").touch()
        return Terraform(folder, home, attached)

    return make


@pytest.fixture(scope="session")
def deployed(terraform: Callable[..., Terraform], variables: dict[str, Any]) -> Deployed:
    """What one apply makes, of the least that must be said."""
    return Deployed(terraform().apply(variables))


@pytest.fixture(scope="session")
def all_said(terraform: Callable[..., Terraform], variables: dict[str, Any]) -> Deployed:
    """What one apply makes with a cluster, an operator and a path."""
    said = {
        "gke_cluster": CLUSTER,
        "operators": json.dumps([OPERATOR]),
        "base_path": "/outpost",
        "delete_orphans": "true",
    }
    return Deployed(terraform().apply(variables | said))
