"""Releases on a real API server: installed, upgraded, rolled back and uninstalled."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helm.helm import CHART, RELEASE, VALUES, Helm, Object, Refused
from tests.kube import binaries
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane, control_plane
from tests.kube.kubelet import Kubelet
from tests.kube.scenarios import Scenario
from tests.support.waiting import eventually

CONTROLLERS = ",deployment,replicaset,job,persistentvolume-binder"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF7tVr4xlASodCcrxpcFUMOCtAR+j0771OPeaZxiidTN hub"
MADE = {f"{RELEASE}-{name}" for name in ("crypt", "users", "ssh-host-keys", "ssh-node")}
MIGRATE = f"{RELEASE}-migrate-"
NOT_HERE = ("serviceMonitor", "prometheusRule")
"""Custom resources: the API server, built with a later Go than its own, dies of them."""

SEPARATE = {"sshPublicKeys": [KEY], "sshNode": {"separate": True}}
POSTGRESQL = {
    "database": {"type": "postgresql"},
    "cryptSecret": "outpost-cryptkey",
    "outpostUsers": "outpost-users",
    "extraEnvVarsSecrets": ["my-db-secret"],
}


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that makes pods of Deployments and Jobs, and binds claims."""
    binaries.require()
    with control_plane(tmp_path_factory.mktemp("kubernetes"), CONTROLLERS) as running:
        yield running


@pytest.fixture(scope="module")
def kubelet(kubernetes: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    """The node of that control plane."""
    with Kubelet(kubernetes, tmp_path_factory.mktemp("kubelet")) as running:
        yield running


class Release:
    """One release in a namespace of its own."""

    def __init__(self, helm: Helm, home: Namespace, kubelet: Kubelet) -> None:
        self.helm, self.home, self.kubelet = helm, home, kubelet

    def run(self, command: str, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """``helm COMMAND RELEASE ...``, at most a minute."""
        return self.helm.run(
            command, RELEASE, *arguments, "--namespace", self.home.name, "--wait", "--timeout", "60s", values=values
        )

    def install(self, values: dict[str, Any]) -> str:
        """Install, and wait until it runs; what Helm says."""
        return self.run("install", str(CHART), values=values)

    def upgrade(self, values: dict[str, Any]) -> str:
        """Upgrade likewise."""
        return self.run("upgrade", str(CHART), values=values)

    def secrets(self) -> dict[str, dict[str, str]]:
        """What is in the Secrets that the chart has made."""
        return {name: item["data"] for item in self.home.all("secrets") if (name := item["metadata"]["name"]) in MADE}

    def deployment(self, name: str = RELEASE) -> Object:
        """A Deployment."""
        found: Object = self.home.api.get(f"/apis/apps/v1/namespaces/{self.home.name}/deployments/{name}")
        return found

    def template(self) -> Object:
        """What the API's pods are made of."""
        template: Object = self.deployment()["spec"]["template"]
        return template

    def config(self) -> str:
        """outpost_config.py, as it stands in the cluster."""
        found = self.home.find("configmaps", f"{RELEASE}-config")
        assert found is not None
        text: str = found["data"]["outpost_config.py"]
        return text

    def secret(self, name: str, **data: str) -> None:
        """A Secret of the operator's, made or changed."""
        if self.home.find("secrets", name) is None:
            self.home.api.create(self.home.path("secrets"), metadata={"name": name}, stringData=data)
        else:
            self.home.api.patch(self.home.path("secrets", name), stringData=data)


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


def test_what_the_chart_has_made_once_outlives_upgrades_rollbacks_and_uninstallation(release: Release) -> None:
    said = release.install(SEPARATE)
    assert f"get secret {RELEASE}-users" in said
    made = release.secrets()
    assert set(made) == MADE
    claim = release.home.find("persistentvolumeclaims", f"{RELEASE}-data")
    assert claim is not None

    release.upgrade({**SEPARATE, "outpostConfig": "c.JupyterHubOutpost.send_events = False\n"})
    assert release.secrets() == made
    release.run("rollback", "1")
    assert release.secrets() == made

    release.run("uninstall")
    assert release.secrets() == made
    eventually(lambda: release.home.names("pods") == [], 60, "the pods are gone")
    assert release.home.names("services") == []
    assert [item["metadata"]["uid"] for item in release.home.all("persistentvolumeclaims")] == [
        claim["metadata"]["uid"]
    ]

    release.install(SEPARATE)
    assert release.secrets() == made


def test_a_rollback_brings_the_configuration_back(release: Release) -> None:
    release.install({"outpostConfig": "# first\n"})
    first = release.template()
    release.upgrade({"outpostConfig": "# second\n"})
    assert release.config() == "# second\n"
    assert release.template() != first
    release.run("rollback", "1")
    assert release.config() == "# first\n"
    assert release.template() == first


def test_an_upgrade_that_changes_nothing_leaves_the_pods_alone(release: Release) -> None:
    release.secret("outpost-users", usernames="hub", passwords="first")
    values = {"outpostUsers": "outpost-users", **SEPARATE}
    release.install(values)
    before = sorted(release.home.names("pods"))
    release.upgrade(values)
    assert sorted(release.home.names("pods")) == before


def test_an_upgrade_starts_new_pods_when_a_secret_that_it_names_has_changed(release: Release) -> None:
    release.secret("outpost-users", usernames="hub", passwords="first")
    values = {"outpostUsers": "outpost-users", **SEPARATE}
    release.install(values)
    before, node = release.template(), release.deployment(f"{RELEASE}-ssh")["spec"]
    release.secret("outpost-users", passwords="second")
    release.upgrade(values)
    assert release.template() != before
    assert release.deployment(f"{RELEASE}-ssh")["spec"] == node


def test_a_new_configuration_of_the_api_leaves_the_separate_ssh_node_and_its_tunnels_alone(release: Release) -> None:
    release.install(SEPARATE)
    node = [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")]
    release.upgrade({**SEPARATE, "outpostConfig": "# other\n", "resources": {"requests": {"cpu": "10m"}}})
    assert [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")] == node


def test_a_migration_that_fails_changes_nothing(release: Release) -> None:
    release.install(POSTGRESQL)
    before = release.deployment()["spec"]
    release.kubelet.script(release.home.name, Scenario(exit_code=1), MIGRATE)
    with pytest.raises(Refused, match=r"(?s)pre-upgrade.*outpost-migrate.*(DeadlineExceeded|Job Failed)"):
        release.upgrade({**POSTGRESQL, "image": "outpost:next", "migration": {"activeDeadlineSeconds": 5}})
    assert release.deployment()["spec"] == before

    release.kubelet.script(release.home.name, Scenario(exit_code=0), MIGRATE)
    release.upgrade({**POSTGRESQL, "image": "outpost:next"})
    assert release.template()["spec"]["containers"][0]["image"] == "outpost:next"


def test_the_first_installation_migrates_before_anything_else_is_made(release: Release) -> None:
    release.kubelet.script(release.home.name, Scenario(exit_code=1), MIGRATE)
    with pytest.raises(Refused, match=r"(?s)pre-install.*outpost-migrate.*(DeadlineExceeded|Job Failed)"):
        release.install({**POSTGRESQL, "migration": {"activeDeadlineSeconds": 5}})
    with pytest.raises(httpx.HTTPStatusError, match="not found"):
        release.deployment()


def test_a_database_that_a_secret_names_is_seen(release: Release) -> None:
    release.secret("my-db-secret", SQL_TYPE="postgresql", SQL_HOST="db")
    release.install({"extraEnvVarsSecrets": ["my-db-secret"], "replicas": 2})
    assert release.home.names("persistentvolumeclaims") == []
    (budget,) = release.home.api.get(f"/apis/policy/v1beta1/namespaces/{release.home.name}/poddisruptionbudgets")[
        "items"
    ]
    assert budget["spec"]["maxUnavailable"] == 1

    release.secret("my-db-secret", SQL_TYPE="sqlite")
    with pytest.raises(Refused, match="replicas: 2 pods cannot share a SQLite database"):
        release.upgrade({"extraEnvVarsSecrets": ["my-db-secret"], "replicas": 2})


def test_a_release_grows_from_sqlite_to_postgresql_and_to_an_ssh_node_of_its_own(release: Release) -> None:
    def strategy() -> str:
        kind: str = release.deployment()["spec"]["strategy"]["type"]
        return kind

    release.install({})
    key = release.secrets()[f"{RELEASE}-crypt"]
    release.upgrade(POSTGRESQL)
    assert (strategy(), release.secrets()[f"{RELEASE}-crypt"]) == ("RollingUpdate", key)
    assert release.home.names("persistentvolumeclaims") == [f"{RELEASE}-data"]
    release.upgrade({**POSTGRESQL, "sshPublicKeys": [KEY]})
    host_key = release.secrets()[f"{RELEASE}-ssh-host-keys"]
    assert strategy() == "Recreate"
    release.upgrade({**POSTGRESQL, **SEPARATE, "replicas": 2})
    assert (strategy(), release.secrets()[f"{RELEASE}-ssh-host-keys"]) == ("RollingUpdate", host_key)
    service = release.home.find("services", f"{RELEASE}-ssh")
    assert service is not None
    assert service["spec"]["selector"] == release.deployment(f"{RELEASE}-ssh")["spec"]["selector"]["matchLabels"]


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
