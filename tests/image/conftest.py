"""The image as it is deployed: another user than root, nothing to write to but its folders, no capabilities."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from cryptography.fernet import Fernet

from tests.support.outpost import HUBS, ROOT, HubCalls
from tests.support.waiting import eventually

REQUIRED = os.environ.get("OUTPOST_REQUIRE_IMAGE") == "1"
"""Set where a machine that cannot build the image is a failure: in the project's own checks."""

BASE, IMAGE = "outpost-tests:base", "outpost-tests:image"
CONFIG = ROOT / "tests/sam/outpost_config.py"


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """A Docker engine; where none answers the suite is skipped, unless the checks require it."""
    try:
        made = docker.from_env()
    except docker.errors.DockerException:
        if REQUIRED:
            raise
        pytest.skip("no Docker engine answers here; .ci/image starts one and runs this")
    yield made
    made.close()


@pytest.fixture(scope="session")
def image(engine: Any) -> str:
    """The image, built of this tree on a base made here."""
    subprocess.run([ROOT / ".ci/base-image", BASE], check=True)
    command = ["docker", "build", "--quiet", "--network", "host", "--build-arg", f"BASE_IMAGE={BASE}", "--tag", IMAGE]
    subprocess.run([*command, str(ROOT)], check=True, env=os.environ | {"DOCKER_BUILDKIT": "0"})
    return IMAGE


@dataclass(frozen=True)
class Keys:
    """SSH keys made for one test: hubs' and the node's own."""

    folder: Path

    def make(self, name: str, kind: str = "ed25519") -> Path:
        """The file of a private key; its public half is beside it."""
        key = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", key], check=True)
        return key

    def let_in(self, name: str) -> dict[str, str]:
        """A new key of that name, as what is mounted so that the SSH node lets it in."""
        authorized = self.folder / "authorized"
        authorized.mkdir()
        (authorized / "authorized_keys").write_text(self.make(name).with_suffix(".pub").read_text())
        return {str(authorized): "/etc/outpost/ssh:ro"}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A folder of keys."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return Keys(folder)


@dataclass(frozen=True)
class Container:
    """One running container of the image."""

    raw: Any

    def port(self, inside: int) -> int:
        """Where this machine reaches the container's port."""
        self.raw.reload()
        return int(self.raw.ports[f"{inside}/tcp"][0]["HostPort"])

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port(8080)}"

    def answers(self) -> Container:
        """Once the API answers."""

        def is_up() -> bool:
            self.raw.reload()
            assert self.raw.status in ("created", "running"), self.log()
            try:
                return httpx.get(f"{self.url}/ping", timeout=5).is_success
            except httpx.TransportError:
                return False

        eventually(is_up, 60, "the container answers")
        return self

    def hub(self) -> HubCalls:
        """A hub's side of the API."""
        return HubCalls(self.url, "hub1", HUBS["hub1"])

    def log(self) -> str:
        """All it has written."""
        return str(self.raw.logs().decode(errors="replace"))

    def exit_code(self) -> int:
        """Once it has ended."""
        return int(self.raw.wait(timeout=60)["StatusCode"])

    def python(self, program: str) -> str:
        """What a program prints inside."""
        code, output = self.raw.exec_run(["python", "-c", program])
        assert code == 0, output
        return str(output.decode())


Run = Callable[..., Container]


@contextmanager
def running(engine: Any, image: str, volume: str) -> Iterator[Run]:
    """Run containers of the image on one volume, with all that restricts them; they are taken away at the end."""
    made: list[Any] = []
    common = {
        "OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(),
        "usernames": ";".join(HUBS),
        "passwords": ";".join(HUBS.values()),
        "SQL_DATABASE_URL": "/var/lib/outpost/outpost.sqlite",
    }

    def one(command: str | None = None, volumes: dict[str, str] | None = None, **environment: str) -> Container:
        mounted = {str(CONFIG): "/etc/outpost/outpost_config.py:ro", volume: "/var/lib/outpost"} | (volumes or {})
        container = engine.containers.run(
            image,
            command and [command],
            entrypoint="" if command else None,
            detach=True,
            read_only=True,
            user="1000:1000",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "mode=1777", "/run/outpost": "uid=1000,mode=0770"},
            ports={"8080/tcp": ("127.0.0.1", None), "2222/tcp": ("127.0.0.1", None)},
            volumes=[f"{source}:{target}" for source, target in mounted.items()],
            environment=common | environment,
        )
        made.append(container)
        return Container(container)

    try:
        yield one
    finally:
        for container in made:
            container.remove(force=True, v=True)


@pytest.fixture
def run(engine: Any, image: str, volume: str) -> Iterator[Run]:
    """Runs containers for one test."""
    with running(engine, image, volume) as one:
        yield one


@pytest.fixture
def volume(engine: Any) -> Iterator[str]:
    """What outlives containers."""
    made = engine.volumes.create()
    yield made.name
    made.remove(force=True)


@pytest.fixture
def ssh_folders(keys: Keys) -> dict[str, str]:
    """What the SSH node gets mounted: the key of a hub, ``keys.folder / "hub"``."""
    return keys.let_in("hub")
