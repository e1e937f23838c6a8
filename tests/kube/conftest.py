"""One control plane for the suite, and a namespace for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.kube import binaries
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane, control_plane
from tests.kube.hub_stack import HubStack
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, outposts_in
from tests.kube.proxy import Proxy
from tests.kube.spawning import Spawning

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need the control plane."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.kube)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what hub and Outposts said."""
    report = yield
    for used in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(used, (HubStack, Outposts)):
            report.sections += [(f"end of the log: {name}", tail) for name, tail in used.logs()]
    return report


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane. Where its programs are missing the test is skipped, unless the checks require them."""
    binaries.require()
    with control_plane(tmp_path_factory.mktemp("kubernetes")) as running:
        yield running


@pytest.fixture(scope="session")
def kubelet(kubernetes: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The node of that control plane."""
    with Kubelet(kubernetes, tmp_path_factory.mktemp("kubelet")) as running:
        yield running


@pytest.fixture
def namespace(kubernetes: ControlPlane) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    kubernetes.admin.create("/api/v1/namespaces", metadata={"name": name})
    made = Namespace(kubernetes.admin, name)
    yield made
    for pod in made.names("pods"):
        made.delete_pod(pod, 0)
    kubernetes.admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubeconfig(kubernetes: ControlPlane, namespace: Namespace, tmp_path: Path) -> Path:
    """The kubeconfig of the user ``outpost``, who may do everything, in that namespace."""
    return kubernetes.kubeconfig(tmp_path / "kubeconfig", "outpost", namespace=namespace.name)


@pytest.fixture
def outposts(namespace: Namespace, kubelet: Kubelet, kubeconfig: Path, tmp_path: Path) -> Iterator[Outposts]:
    """Outposts that start pods in that namespace."""
    with outposts_in(namespace, kubeconfig, tmp_path) as made:
        yield made


@pytest.fixture
def spawning(namespace: Namespace, kubelet: Kubelet, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Spawning:
    """Spawners in this process, with their pods in that namespace."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return Spawning(namespace.name, namespace)


@pytest.fixture
async def proxy(kubernetes: ControlPlane, spawning: Spawning) -> AsyncIterator[Proxy]:
    """In front of the API server, for that Outpost."""
    made = Proxy(kubernetes)
    spawning.config.KubeSpawner.k8s_api_host = await made.start()
    yield made
    await made.close()
