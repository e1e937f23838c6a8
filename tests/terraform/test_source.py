"""The functions' source as Google builds and runs it: its requirements installed, and functions-framework in front."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local import google_source
from tests.support import postgresql
from tests.support.waiting import eventually
from tests.terraform.cloud import DESCRIPTION
from tests.terraform.state import Deployed

NOWHERE = ("OUTPOST_SECRETS", "OUTPOST_FLAVORS_PATH", "OUTPOST_CREDITS_PATH")
"""Variables of what is not on this machine."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source, and an environment with its requirements and nothing else."""
    folder = tmp_path_factory.mktemp("source")
    google_source.build(folder / "source.zip", [])
    subprocess.run([sys.executable, "-m", "zipfile", "-e", "source.zip", "."], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "venv", "environment"], cwd=folder, check=True)
    pip = ["environment/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for what in (["pip>=24"], ["-r", "requirements.txt"]):
        subprocess.run([*pip, *what], cwd=folder, check=True, timeout=300)
    return folder


@contextmanager
def served(source: Path, function: str, environment: dict[str, str], home: Path) -> Iterator[httpx.Client]:
    """A function, as the buildpack starts it."""
    port, config = postgresql.free_port(), home / "outpost_config.py"
    config.write_text("c.JupyterHubOutpost.flavors = {}\n")
    given = {name: value for name, value in environment.items() if name not in NOWHERE} | {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "FUNCTION_TARGET": function,
        "FUNCTION_SIGNATURE_TYPE": "http",
        "OUTPOST_CONFIG_FILE": str(config),
        "SQL_TYPE": "sqlite",
        "SQL_DATABASE_URL": str(home / "outpost.sqlite"),
    }
    program = str(source / "environment/bin/functions-framework")
    command = [str(source / "environment/bin/python"), program, "--host", "127.0.0.1"]
    with (
        subprocess.Popen(command, cwd=source, env=given, stdout=sys.stderr) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            eventually(lambda: process.poll() is not None or _answers(client), what=f"{function} answers")
            assert process.poll() is None, f"{function} has ended"
            yield client
        finally:
            process.terminate()


def _answers(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/ping").status_code)
    except httpx.TransportError:
        return False


def test_the_runtime_is_the_python_that_the_versions_are_tested_with() -> None:
    (runtime,) = re.findall(r'runtime += "python(\d)(\d+)"', (DESCRIPTION / "functions.tf").read_text())
    assert tuple(map(int, runtime)) == sys.version_info[:2]


def test_the_source_serves_every_function_with_the_variables_of_the_deployment(
    installed: Path, deployed: Deployed, secret: dict[str, str], tmp_path: Path
) -> None:
    answers: dict[str, int] = {}
    for function in ("migrate", "api", "expire", "recover", "tunnels", "worker"):
        with served(installed, function, deployed.environment(function) | secret, tmp_path) as client:
            if function == "api":
                answer = client.get("/services", auth=("hub1", secret["passwords"]))
            else:
                answer = client.post("/", json={"service": 1} if function == "worker" else {})
        answers[function] = answer.status_code
    assert answers == dict.fromkeys(answers, 200)
