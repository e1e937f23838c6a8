"""The SAM CLI and Docker, where they are installed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import postgresql
from tests.support.aws import REGION
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("OUTPOST_REQUIRE_SAM") == "1"
"""Set where a missing SAM CLI or Docker is a failure: in the project's own checks."""

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
LAYER = {"arm64": "DependenciesArm64", "x86_64": "DependenciesX86"}[ARCHITECTURE]
"""This machine's."""


def missing() -> str:
    """What is not there that the suite needs, or nothing."""
    if program() is None:
        return "there is no SAM CLI"
    if not cfn_lint().exists():
        return "there is no cfn-lint beside the SAM CLI"
    if postgresql.programs() is None:
        return "there is no PostgreSQL server"
    image = f"public.ecr.aws/lambda/python:3.11-{ARCHITECTURE}"
    for command, what in ((["info"], "no Docker daemon answers"), (["image", "inspect", image], f"no image {image}")):
        docker = shutil.which("docker")
        if docker is None or subprocess.run([docker, *command], capture_output=True, check=False).returncode:
            return what
    return ""


def cfn_lint() -> Path:
    """The one that the SAM CLI brings along."""
    sam = program()
    assert sam is not None
    return sam.resolve().with_name("cfn-lint")


def program() -> Path | None:
    """The SAM CLI: the one that .ci/sam has installed, else the machine's."""
    found = shutil.which("sam", path=f"{ROOT / '.cache/sam/bin'}:{os.environ['PATH']}")
    return Path(found) if found else None


@dataclass(frozen=True)
class Invoked:
    """What a function answered, and what it and SAM wrote meanwhile."""

    payload: Any
    log: str


class Sam:
    """The SAM CLI with one built template. ``variables`` are the functions' environment."""

    def __init__(self, folder: Path, template: Path, variables: dict[str, str]) -> None:
        self._folder = folder
        self._template = template
        self._variables = folder / "variables.json"
        self._variables.write_text(json.dumps({"Parameters": variables}))

    def _local(self, command: str, *options: str) -> list[str]:
        common = ("--template", str(self._template), "--env-vars", str(self._variables), "--skip-pull-image")
        return [str(program()), "local", command, *options, *common, *architecture()]

    def invoke(self, function: str, event: Any) -> Invoked:
        """``sam local invoke``."""
        path = self._folder / "event.json"
        path.write_text(json.dumps(event))
        done = run(self._local("invoke", function, "--event", str(path)), self._folder)
        return Invoked(json.loads(done.stdout), done.stderr)

    @contextmanager
    def serve(self, command: str) -> Iterator[str]:
        """``sam local start-api`` or ``start-lambda`` for as long as the block runs; its URL."""
        port, log = postgresql.free_port(), self._folder / f"{command}.log"
        options = ("--host", "127.0.0.1", "--port", str(port), "--warm-containers", "LAZY")
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._local(command, *options), env=environment(self._folder), stdout=output, stderr=output
            )
        try:
            eventually(lambda: _listens(port, process, log), 60, f"sam local {command} listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)  # it removes its containers
            process.wait(60)


def architecture() -> tuple[str, str]:
    """The option that chooses this machine's."""
    return ("--parameter-overrides", f"Architecture={ARCHITECTURE}")


def environment(home: Path) -> dict[str, str]:
    """SAM's own. Without credentials, or it would look for the account they belong to."""
    kept = ("PATH", "DOCKER_HOST", "LANG", "VENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_CHECK_VERSION_UPDATE": "0",
    }


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run it in the project's folder. It must succeed."""
    done = subprocess.run(
        command, env=environment(home), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def _listens(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
