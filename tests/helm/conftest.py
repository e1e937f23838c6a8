"""Both versions of Helm."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helm.helm import CHART, RELEASE, VERSIONS, Helm
from tests.helm.releases import CONTROLLERS, MIGRATE, Release
from tests.kube import binaries
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane, control_plane
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Helm."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.helm)


@pytest.fixture(params=VERSIONS, ids=[f"helm{version}" for version in VERSIONS])
def helm(request: pytest.FixtureRequest, tmp_path: Path) -> Helm:
    """Each version."""
    return Helm(request.param, tmp_path)


@pytest.fixture
def newest(tmp_path: Path) -> Helm:
    """The newest version: for what a template says, whichever version reads it."""
    return Helm(VERSIONS[-1], tmp_path)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The chart with a small dashboard and one alert, so that what is expected does not change with theirs."""
    copy = Path(shutil.copytree(CHART, tmp_path / "outpost"))
    (copy / "files" / "dashboard.json").write_text('{"title": "Outpost", "legend": "{{hub}}"}\n')
    alert = '{alert: Down, expr: up == 0, annotations: {summary: "{{ $labels.pod }} is down"}}'
    (copy / "files" / "alerts.yaml").write_text(f"groups: [{{name: outpost, rules: [{alert}]}}]\n")
    return copy


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that makes pods of Deployments and Jobs, and binds claims."""
    binaries.require()
    with control_plane(tmp_path_factory.mktemp("kubernetes"), CONTROLLERS) as running:
        yield running


@pytest.fixture(scope="session")
def kubelet(kubernetes: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The node of that control plane."""
    with Kubelet(kubernetes, tmp_path_factory.mktemp("kubelet")) as running:
        yield running


@pytest.fixture
def home(kubernetes: ControlPlane) -> Iterator[Namespace]:
    """A namespace of the test's own, and a volume that fits a claim in it."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    kubernetes.admin.create("/api/v1/namespaces", metadata={"name": name})
    kubernetes.admin.create(
        "/api/v1/persistentvolumes",
        metadata={"name": name},
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": name, "name": f"{RELEASE}-data"},
        },
    )
    made = Namespace(kubernetes.admin, name)
    yield made
    for kind in ("namespaces", "persistentvolumes"):
        kubernetes.admin.delete(f"/api/v1/{kind}/{name}")


@pytest.fixture
def on_cluster(helm: Helm, kubernetes: ControlPlane, home: Namespace, tmp_path: Path) -> Helm:
    """Helm, with the rights of an administrator in that namespace."""
    return Helm(helm.version, tmp_path, kubernetes.kubeconfig(tmp_path / "kubeconfig", "admin", namespace=home.name))


@pytest.fixture
def release(on_cluster: Helm, home: Namespace, kubelet: Kubelet) -> Release:
    """A release that is not installed yet. Migrations succeed."""
    kubelet.script(home.name, Scenario(exit_code=0), MIGRATE)
    return Release(on_cluster, home, kubelet)
