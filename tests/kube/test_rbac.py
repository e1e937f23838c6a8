"""The rights in the chart's file are enough for all that Outpost does, and none of them is too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import text

from core.config import load_config
from core.orphans import MIN_AGE, Orphans
from infra.settings import Settings
from infra.store import SqlStore
from infra.wiring import open_database, utc_now
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.outposts import Outposts
from tests.support.outpost import ROOT, HubCalls, OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ALL_IN_USE = """
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = "1Gi"
c.KubeSpawner.services_enabled = True
"""
Rights = set[tuple[str, str]]


def rules_of(*keys: str) -> list[dict[str, list[str]]]:
    """These parts of the chart's file."""
    content = yaml.safe_load((ROOT / "helm" / "outpost" / "files" / "rbac.yaml").read_text())
    assert set(content) == {"rules", "userNamespaceRules"}
    return [rule for key in keys for rule in content[key]]


def rights_in(rules: list[dict[str, list[str]]]) -> Rights:
    """Verb and resource, one by one."""
    assert all(rule["apiGroups"] == [""] for rule in rules)
    return {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}


class Account:
    """A service account, which may do nothing yet."""

    def __init__(self, kubernetes: ControlPlane, namespace: Namespace) -> None:
        self.name = f"system:serviceaccount:{namespace.name}:outpost"
        self._kubernetes, self._namespace = kubernetes, namespace
        self.token = namespace.token("outpost")

    def may(self, rules: list[dict[str, list[str]]], everywhere: bool = False) -> None:
        """From now on it may do that."""
        name, kind = self._namespace.name, "ClusterRole" if everywhere else "Role"
        folder = RBAC if everywhere else f"{RBAC}/namespaces/{name}"
        api = self._kubernetes.admin
        api.create(f"{folder}/{kind.lower()}s", metadata={"name": name}, rules=rules)
        api.create(
            f"{folder}/{kind.lower()}bindings",
            metadata={"name": name},
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            subjects=[{"kind": "ServiceAccount", "namespace": name, "name": "outpost"}],
        )

    def used(self) -> Rights:
        """What it has done. Nothing was refused but a claim, by the quota."""
        made = self._kubernetes.audit.requests(user=self.name)
        assert {request.resource for request in made if request.code == 403} <= {"persistentvolumeclaims"}
        return {(request.verb, "/".join(filter(None, (request.resource, request.subresource)))) for request in made}


@pytest.fixture
def account(
    kubernetes: ControlPlane, namespace: Namespace, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """The one that the kubeconfig is of."""
    made = Account(kubernetes, namespace)
    kubernetes.kubeconfig(kubeconfig, token=made.token, namespace=namespace.name)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    yield made
    for kind in ("clusterrolebindings", "clusterroles"):
        kubernetes.admin.delete(f"{RBAC}/{kind}/{namespace.name}")


def start(hub: HubCalls, name: str, hub_stub: RecordingHub, certificate: str) -> None:
    """Start a server that has certificates of its own."""
    own = {"keyfile": "KEY", "certfile": "CERTIFICATE", "cafile": "CA"}
    env = hub_stub.env(JUPYTERHUB_USER="Ada.Lovelace")
    started = hub.start(name, env=env, certs=own, internal_trust_bundles={"hub-ca": certificate})
    assert started.status_code == 200, started.text


def start_poll_and_stop(outpost: OutpostProcess, home: Namespace, hub_stub: RecordingHub, certificate: str) -> None:
    """Two lives of a server, its logs, and another server that goes on running."""
    with outpost.hub() as hub:
        start(hub, "lab", hub_stub, certificate)
        made = {kind: home.names(kind)[-1] for kind in ("services", "pods")}
        made["secrets"] = next(item["metadata"]["name"] for item in home.all("secrets") if item["type"] == "Opaque")
        assert hub.poll("lab", collect_logs="true").json()["status"] is None
        assert hub.stop("lab").status_code == 200
        leave_behind(home, made)
        use_up_quota(home)
        start(hub, "lab", hub_stub, certificate)
        home.api.delete(home.path("resourcequotas", "claims"))
        start(hub, "lost", hub_stub, certificate)
        assert hub.stop("lab").status_code == 200


def leave_behind(home: Namespace, made: dict[str, str]) -> None:
    """A service and a secret under the server's names, as if its pod had not owned them."""
    for kind in ("services", "secrets"):
        eventually(lambda kind=kind: home.find(kind, made[kind]) is None, what=f"the {kind} are gone")  # type: ignore[misc]
    spec = {"ports": [{"port": 80}]}
    home.api.create(home.path("services"), metadata={"name": made["services"]}, spec=spec)
    home.api.create(home.path("secrets"), metadata={"name": made["secrets"]})


def use_up_quota(home: Namespace) -> None:
    """No further claim fits, which is told even of one that is there."""
    hard = {"persistentvolumeclaims": "1"}
    home.api.create(home.path("resourcequotas"), metadata={"name": "claims"}, spec={"hard": hard})
    home.api.patch(home.path("resourcequotas", "claims/status"), status={"hard": hard, "used": hard})
    eventually(lambda: not claim_fits(home), what="the quota is in force")


def claim_fits(home: Namespace) -> bool:
    """Would the API server take one more?"""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    try:
        home.api.create(home.path("persistentvolumeclaims?dryRun=All"), metadata={"name": "more"}, spec=spec)
    except httpx.HTTPStatusError as error:
        return "exceeded quota" not in error.response.text
    return True


async def orphans_deleted(outpost: OutpostProcess) -> int:
    """Lose the other server's row, and look for it half an hour later."""
    settings = Settings.model_validate(outpost.env)
    database, config = open_database(settings), load_config(outpost.config)

    def later() -> datetime:
        return utc_now() + MIN_AGE + timedelta(minutes=1)

    try:
        with database.write() as db:
            db.execute(text("DELETE FROM service WHERE name = 'lost'"))
        return await Orphans(SqlStore(database, settings.sealer(), later), lambda: config, later).look(delete=True)
    finally:
        database.close()


async def test_a_role_with_exactly_these_rights_is_enough(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, account: Account
) -> None:
    rules = rules_of("rules")
    account.may(rules)
    outpost = outposts.new(ALL_IN_USE).start()

    start_poll_and_stop(outpost, namespace, hub_stub, kubernetes.certificate.read_text())
    assert await orphans_deleted(outpost) == 1

    eventually(lambda: namespace.names("pods") == [], what="the orphan is gone")
    assert account.used() == rights_in(rules)


async def test_a_cluster_role_is_enough_for_namespaces_of_users(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, account: Account
) -> None:
    rules = rules_of("rules", "userNamespaceRules")
    account.may(rules, everywhere=True)
    home = Namespace(kubernetes.admin, f"{namespace.name}-home")
    more = f"c.KubeSpawner.enable_user_namespaces = True\nc.KubeSpawner.user_namespace_template = {home.name!r}\n"
    outpost = outposts.new(ALL_IN_USE + more).start()
    try:
        start_poll_and_stop(outpost, home, hub_stub, kubernetes.certificate.read_text())
        assert await orphans_deleted(outpost) == 1
        eventually(lambda: home.names("pods") == [], what="the orphan is gone")
        assert account.used() == rights_in(rules)
    finally:
        kubernetes.admin.delete(f"/api/v1/namespaces/{home.name}")


@pytest.mark.parametrize("right", sorted(rights_in(rules_of("rules")) & {("create", "pods"), ("watch", "pods")}))
def test_a_start_names_the_right_that_is_missing(
    outposts: Outposts, hub_stub: RecordingHub, account: Account, right: tuple[str, str]
) -> None:
    verb, resource = right
    rules = rules_of("rules")
    account.may([{**rule, "verbs": [v for v in rule["verbs"] if (v, rule["resources"][0]) != right]} for rule in rules])
    outpost = outposts.new("c.Spawner.start_timeout = 15").start()
    with outpost.hub() as hub:
        refused = hub.start("lab", env=hub_stub.env())
    assert refused.status_code == 419, refused.text
    assert f'lacks a permission: "{verb}" of "{resource}"' in refused.json()["args"][0]
