"""A real API server takes all that the chart makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm.helm import RELEASE, VALUES
from tests.helm.releases import Release
from tests.kube.control_plane import ControlPlane

NOT_HERE = ("serviceMonitor", "prometheusRule")
"""Custom resources: the API server, built with a later Go than its own, dies of them."""


@pytest.mark.parametrize("file", sorted(VALUES.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_api_server_takes_all_that_a_values_file_makes(
    release: Release, kubernetes: ControlPlane, chart: Path, file: Path
) -> None:
    there = [item["metadata"]["name"] for item in kubernetes.admin.get("/api/v1/namespaces")["items"]]
    for name in {"users-a", "users-b"}.difference(there):
        kubernetes.admin.create("/api/v1/namespaces", metadata={"name": name})
    where = ("--namespace", release.home.name)
    values = {"metrics": {name: {"enabled": False} for name in NOT_HERE}}
    release.helm.run("install", RELEASE, str(chart), *where, "--values", str(file), values=values)
    release.helm.run("uninstall", RELEASE, *where)
