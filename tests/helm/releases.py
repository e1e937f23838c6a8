"""A release on a real API server."""

from __future__ import annotations

from typing import Any

from tests.helm.helm import CHART, RELEASE, Helm, Object
from tests.kube.api import Namespace
from tests.kube.kubelet import Kubelet

CONTROLLERS = ",deployment,replicaset,job,persistentvolume-binder"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF7tVr4xlASodCcrxpcFUMOCtAR+j0771OPeaZxiidTN hub"
MADE = {f"{RELEASE}-{name}" for name in ("crypt", "users", "ssh-host-keys", "ssh-node")}
MIGRATE = f"{RELEASE}-migrate-"
SEPARATE = {"sshPublicKeys": [KEY], "sshNode": {"separate": True}}
POSTGRESQL = {
    "database": {"type": "postgresql"},
    "cryptSecret": "outpost-cryptkey",
    "outpostUsers": "outpost-users",
    "extraEnvVarsSecrets": ["my-db-secret"],
}


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
