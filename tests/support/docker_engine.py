"""A Docker engine, and an image that takes no time to make: it is empty, and containers see this machine's programs."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.support.outpost import ROOT

REQUIRED = os.environ.get("OUTPOST_REQUIRE_DOCKER") == "1"
"""Set where a missing engine is a failure: in the project's own checks."""


def require() -> None:
    """Skip the test where no engine answers, unless the checks require one."""
    try:
        docker.from_env().close()
    except docker.errors.DockerException:
        if REQUIRED:
            raise
        pytest.skip("no Docker engine answers here; .ci/docker starts one and runs this")


def image(engine: Any) -> str:
    """The name of the image, made where it is missing."""
    name = "outpost-tests:empty"
    if not engine.images.list(name):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
        repository, tag = name.split(":")
        engine.api.import_image_from_data(packed.getvalue(), repository=repository, tag=tag)
    return name


def programs() -> dict[str, str]:
    """What of this machine a container sees, and cannot change."""
    folders = {"/bin", "/etc/passwd", "/lib", "/lib64", "/usr", str(ROOT), sys.prefix, sys.base_prefix}
    return {folder: folder for folder in sorted(folders) if Path(folder).exists()}


def bridge_address() -> str:
    """This machine's address as containers see it."""
    form = '{{index .Options "com.docker.network.bridge.name"}}'
    command = ["docker", "network", "inspect", "bridge", "--format", form]
    interface = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    return next(entry.address for entry in psutil.net_if_addrs()[interface] if entry.family == socket.AF_INET)
