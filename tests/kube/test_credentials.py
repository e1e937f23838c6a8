"""Renewed tokens reach the API server of a process that goes on running."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.config import JupyterHubOutpost
from core.spawners.build import listing_spawner
from infra.kubeconfig import Cluster, Kubeconfig, Token
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.support.clock import Clock


class Signer:
    """Tokens of one service account after the other, good for ten minutes."""

    def __init__(self, namespace: Namespace, clock: Clock) -> None:
        self._namespace = namespace
        self._clock = clock
        self.made = 0

    def __call__(self) -> Token:
        """The next one's; it may list pods."""
        self.made += 1
        name = f"account-{self.made}"
        token = self._namespace.token(name)
        namespace = self._namespace.name
        folder = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
        self._namespace.api.create(f"{folder}/roles", metadata={"name": name}, rules=rules)
        self._namespace.api.create(
            f"{folder}/rolebindings",
            metadata={"name": name},
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        )
        return Token(token, self._clock() + timedelta(minutes=10))


@pytest.fixture
def clock() -> Clock:
    """It stands still."""
    return Clock()


@pytest.fixture
def access(
    kubernetes: ControlPlane, namespace: Namespace, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kubeconfig]:
    """What ``infra.cluster_access`` keeps for a cloud's cluster."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    authority = base64.b64encode(kubernetes.certificate.read_bytes()).decode()
    made = Kubeconfig(Cluster("here", kubernetes.url, authority), Signer(namespace, clock), clock)
    monkeypatch.setenv("KUBECONFIG", str(made.path))
    yield made
    made.close()


@pytest.fixture
def outpost(namespace: Namespace) -> JupyterHubOutpost:
    """A configuration for that namespace."""
    made = JupyterHubOutpost(spawner_class="kubespawner.KubeSpawner")
    made.config.KubeSpawner.namespace = namespace.name
    return made


def seen(kubernetes: ControlPlane, namespace: Namespace) -> list[tuple[str, int]]:
    """By whom pods were listed, and what the API server answered."""
    made = kubernetes.audit.requests(user_agent="outpost", namespace=namespace.name)
    return [(request.user.rpartition(":")[2], request.code) for request in made]


async def test_each_operation_of_a_warm_process_uses_the_token_of_its_moment(
    kubernetes: ControlPlane, namespace: Namespace, access: Kubeconfig, clock: Clock, outpost: JupyterHubOutpost
) -> None:
    for minutes in (0, 9, 2):
        clock.forward(minutes=minutes)
        access.refresh()
        async with listing_spawner(outpost) as spawner:
            assert spawner is not None
            assert await spawner.own_servers("mine") == []
    assert seen(kubernetes, namespace) == [("account-1", 200), ("account-1", 200), ("account-2", 200)]


async def test_an_operation_that_outlasts_its_token_goes_on_with_the_next_one(
    kubernetes: ControlPlane, namespace: Namespace, access: Kubeconfig, clock: Clock, outpost: JupyterHubOutpost
) -> None:
    async with listing_spawner(outpost) as spawner:
        assert spawner is not None
        assert await spawner.own_servers("mine") == []
        namespace.api.delete(namespace.path("serviceaccounts", "account-1"))  # its tokens end with it
        clock.forward(minutes=10)
        access.refresh()
        async with asyncio.timeout(30):  # the API server believes a token for ten seconds
            while seen(kubernetes, namespace)[-1][0] != "account-2":
                assert await spawner.own_servers("mine") == []
                await asyncio.sleep(0.2)
    by_whom = seen(kubernetes, namespace)
    assert by_whom[0] == ("account-1", 200)
    assert by_whom[-1] == ("account-2", 200)
