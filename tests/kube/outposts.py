"""Outposts that start their servers as pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kube.api import Namespace, Object
from tests.support.outpost import OutpostProcess
from tests.support.waiting import eventually

CONFIG = """
c.JupyterHubOutpost.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHubOutpost.log_level = "DEBUG"
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.image = "lab:1"
c.KubeSpawner.delete_grace_period = 1
c.Spawner.start_timeout = 90
{more}
"""


class Outposts:
    """Outposts in one namespace, each a process with a folder of its own; not started yet."""

    def __init__(self, namespace: Namespace, kubeconfig: Path, folder: Path) -> None:
        self.namespace = namespace
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._made: list[OutpostProcess] = []

    def new(self, more: str = "", env: Mapping[str, str] | None = None) -> OutpostProcess:
        """One with a database of its own, unless ``env`` names another; ``more`` is added to its configuration."""
        folder = self._folder / f"outpost-{len(self._made)}"
        folder.mkdir()
        config = CONFIG.format(namespace=self.namespace.name, more=more)
        self._made.append(OutpostProcess(folder, config, {"KUBECONFIG": str(self._kubeconfig), **(env or {})}))
        return self._made[-1]

    def close(self) -> None:
        """End all of them."""
        for outpost in self._made:
            outpost.close()

    def logs(self) -> Iterator[tuple[str, str]]:
        """The end of each one's log."""
        for outpost in self._made:
            yield outpost.folder.name, outpost.tail()


@contextmanager
def outposts_in(namespace: Namespace, kubeconfig: Path, folder: Path) -> Iterator[Outposts]:
    """Outposts that end with the block."""
    made = Outposts(namespace, kubeconfig, folder)
    try:
        yield made
    finally:
        made.close()


def the_pod(namespace: Namespace) -> Object:
    """The namespace's only pod, at the latest in a moment."""
    pods = eventually(lambda: namespace.all("pods"), what="there is a pod")
    assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
    return pods[0]


def pod_name(namespace: Namespace) -> str:
    """The name of the namespace's only pod."""
    name: str = the_pod(namespace)["metadata"]["name"]
    return name


def wait_for_event(namespace: Namespace, reason: str) -> None:
    """Wait until something of that reason was said in the namespace."""
    eventually(lambda: reason in [event["reason"] for event in namespace.all("events")], what=f"an event {reason}")


def assert_nothing_is_left(namespace: Namespace, services: list[Any]) -> None:
    """No row of a service, and nothing in the namespace that a start makes; what pods own goes in a moment."""
    assert services == []
    assert namespace.names("pods") == []
    eventually(lambda: not _owned(namespace), 60, "what the pod has owned is gone")


def _owned(namespace: Namespace) -> list[str]:
    made = [item for kind in ("services", "secrets") for item in namespace.all(kind)]
    return [item["metadata"]["name"] for item in made if item.get("type") != "kubernetes.io/service-account-token"]
