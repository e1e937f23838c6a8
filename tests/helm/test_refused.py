"""Values that cannot work are refused before anything changes; the refusal names the field, and says what is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.helm import CHART, Helm, Refused
from tests.helm.releases import KEY, SEPARATE

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nnot really one\n-----END OPENSSH PRIVATE KEY-----"

IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "two pods on SQLite": (
        {"replicas": 2},
        "replicas: 2 pods cannot share a SQLite database; use PostgreSQL",
    ),
    "two pods on SQLite, said outright": (
        {"replicas": 2, "database": {"type": "sqlite"}, "extraEnvVarsSecrets": ["my-db-secret"]},
        "replicas: 2 pods cannot share a SQLite database; use PostgreSQL",
    ),
    "two pods on SQLite, said in a variable": (
        {"replicas": 2, "extraEnvVars": [{"name": "SQL_TYPE", "value": "sqlite"}]},
        "replicas: 2 pods cannot share a SQLite database; use PostgreSQL",
    ),
    "two databases": (
        {"database": {"type": "postgresql"}, "extraEnvVars": {"SQL_TYPE": "sqlite"}},
        "database.type is postgresql, but extraEnvVars.SQL_TYPE is sqlite: they must be the same",
    ),
    "a database that is none": (
        {"extraEnvVars": {"SQL_TYPE": "mysql"}},
        'extraEnvVars.SQL_TYPE: must be sqlite or postgresql, not "mysql"',
    ),
    "a PostgreSQL nowhere": (
        {"database": {"type": "postgresql"}},
        "database.type is postgresql, but nothing says where it is: set SQL_HOST",
    ),
    "an SSH node without keys": (
        {"sshNode": {"separate": True}},
        "sshNode.separate: an SSH node without sshPublicKeys lets nobody in",
    ),
    "a Service to an SSH node without keys": (
        {"servicessh": {"type": "NodePort", "ports": {"nodePort": 30022}}},
        "servicessh: an SSH node without sshPublicKeys lets nobody in",
    ),
    "an enabled Service to an SSH node without keys": (
        {"servicessh": {"enabled": True}},
        "servicessh: an SSH node without sshPublicKeys lets nobody in",
    ),
    "several pods as one SSH node": (
        {"replicas": 3, "database": {"type": "postgresql"}, "extraEnvVarsSecrets": ["db"], "sshPublicKeys": [KEY]},
        "replicas: with 3 pods that are SSH nodes too, a tunnel could end at any of them; set sshNode.separate: true",
    ),
    "a separate SSH node that nobody reaches": (
        {"sshPublicKeys": [KEY], "sshNode": {"separate": True}, "servicessh": {"enabled": False}},
        "servicessh.enabled: a separate SSH node is reached through this Service",
    ),
    "an SSH node of another user": (
        {"sshPublicKeys": [KEY], "podSecurityContext": {"runAsUser": 2000}},
        "podSecurityContext.runAsUser, securityContext.runAsUser: with sshPublicKeys it must be 1000",
    ),
    "an SSH node of whichever user": (
        {**SEPARATE, "podSecurityContext": {"runAsUser": None}},
        "podSecurityContext.runAsUser, securityContext.runAsUser: with sshPublicKeys it must be 1000",
    ),
    "an SSH node in a container of another user": (
        {"sshPublicKeys": [KEY], "securityContext": {"runAsUser": 0}},
        "podSecurityContext.runAsUser, securityContext.runAsUser: with sshPublicKeys it must be 1000",
    ),
    "places to forward to that are none": (
        {"sshPublicKeys": [KEY], "sshNode": {"permitOpen": ["*:8888", "8888"]}},
        'sshNode.permitOpen: must be HOST:PORT such as *:8888, not "8888"',
    ),
    "a variable that a separate SSH node does not see": (
        {**SEPARATE, "extraEnvVars": {"OUTPOST_SSH_PERMIT_OPEN": "*:8888"}},
        "extraEnvVars.OUTPOST_SSH_PERMIT_OPEN: is for the API's pods, and the separate SSH node would not see it",
    ),
    "what an SSH node reaches that is none": (
        {"sshPublicKeys": [KEY], "networkPolicy": {"enabled": True, "sshEgress": [{"to": []}]}},
        "networkPolicy.sshEgress: is for a separate SSH node; with one container networkPolicy.egress is for both",
    ),
    "a pod that is ended too early": (
        {"terminationGracePeriodSeconds": 34},
        "terminationGracePeriodSeconds: must be 35 or more, the time that Outpost takes to end in order, not 34",
    ),
    "source addresses of a ClusterIP": (
        {"service": {"externalTrafficPolicy": "Local"}},
        "service.externalTrafficPolicy: a Service of type ClusterIP has none; set service.type: NodePort",
    ),
    "an SSH node's source addresses of a ClusterIP": (
        {"sshPublicKeys": [KEY], "servicessh": {"externalTrafficPolicy": "Local"}},
        "servicessh.externalTrafficPolicy: a Service of type ClusterIP has none; set servicessh.type: NodePort",
    ),
    "a key that is none": (
        {"sshPublicKeys": [KEY, "ssh-ed25519"]},
        "sshPublicKeys: entry 2 is no public key; it must be one line, [OPTIONS] TYPE BASE64 [COMMENT]",
    ),
    "two keys in one": (
        {"sshPublicKeys": [f"{KEY}\n{KEY}"]},
        "sshPublicKeys: entry 1 is no public key; it must be one line",
    ),
    "a private key": (
        {"sshPublicKeys": [PRIVATE]},
        "sshPublicKeys: entry 1 is a private key, which is known to others now; make a new pair",
    ),
    "a node's port of a ClusterIP": (
        {"service": {"ports": {"nodePort": 30080}}},
        "service.ports.nodePort: a Service of type ClusterIP has none; set service.type: NodePort",
    ),
    "an SSH node's port of a ClusterIP": (
        {"sshPublicKeys": [KEY], "servicessh": {"ports": {"nodePort": 30022}}},
        "servicessh.ports.nodePort: a Service of type ClusterIP has none; set servicessh.type: NodePort",
    ),
    "a load balancer's address of a NodePort": (
        {"sshPublicKeys": [KEY], "servicessh": {"type": "NodePort", "loadBalancerIP": "192.0.2.7"}},
        "servicessh.loadBalancerIP: is of a Service of type LoadBalancer, not NodePort",
    ),
    "hubs without flavors": (
        {"flavors": {"hubs": {"all": {"jupyterhub_name": ".*", "flavors": ["small"]}}}},
        "flavors.hubs, flavors.users: there is nothing to choose from, since flavors.flavors is empty",
    ),
    "users without credits": (
        {"credits": {"users": {"ada": {"credits": ["gpu"]}}}},
        "credits.hubs, credits.users: there is nothing to choose from, since credits.credits is empty",
    ),
    "a base path without a slash": (
        {"basePath": "outpost"},
        'basePath: must be a path such as /outpost, not "outpost"',
    ),
    "a size that is none": (
        {"persistence": {"size": "a lot"}},
        'persistence.size: must be a size such as 1Gi, not "a lot"',
    ),
    "a digest that is none": ({"image": {"digest": "1.0"}}, "image.digest: must be sha256: and 64 hexadecimal digits"),
    "an interval that is none": (
        {"metrics": {"serviceMonitor": {"interval": "often"}}},
        'metrics.serviceMonitor.interval: must be a time such as 30s, not "often"',
    ),
    "a share of pods that is none": (
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
        'podDisruptionBudget.maxUnavailable: must be a number of pods or a share such as 50%, not "half"',
    ),
}

WRONG: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": "two"},
    "image": {"image": 1},
    "pullPolicy": {"image": {"pullPolicy": "Sometimes"}},
    "outpostConfig": {"outpostConfig": {"spawner_class": "kubespawner"}},
    "cryptSecret": {"cryptSecret": ["one", "two"]},
    "extraEnvVarsSecrets": {"extraEnvVarsSecrets": "my-db-secret"},
    "extraEnvVars": {"extraEnvVars": "SQL_TYPE=postgresql"},
    "sshPublicKeys": {"sshPublicKeys": KEY},
    "nodePort": {"service": {"type": "NodePort", "ports": {"nodePort": 70000}}},
    "type": {"service": {"type": "Nodeport"}},
    "externalTrafficPolicy": {"service": {"type": "NodePort", "externalTrafficPolicy": "local"}},
    "hosts": {"ingress": {"hosts": "outpost.example.org"}},
    "limits": {"resources": {"limits": "1Gi"}},
    "maxUnavailable": {"podDisruptionBudget": {"maxUnavailable": 0}},
}
"""Values of another type than the field's, by the field's name."""


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_setting_that_cannot_work_is_refused_with_a_sentence(newest: Helm, case: str) -> None:
    values, sentence = IMPOSSIBLE[case]
    with pytest.raises(Refused) as refused:
        newest.template(values=values)
    assert sentence in str(refused.value)
    assert "not really one" not in str(refused.value)


@pytest.mark.parametrize("field", WRONG)
def test_a_value_of_another_type_is_refused_by_name(helm: Helm, field: str) -> None:
    with pytest.raises(Refused, match=rf"specifications of the schema(?s:.)*\b{field}\b"):
        helm.template(values=WRONG[field])


def maps(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the chart's own values have maps with keys that it knows."""
    yield path
    for name, value in values.items():
        if isinstance(value, dict) and value and name != "labels":
            yield from maps(value, (*path, name))


@pytest.mark.parametrize(("value", "file"), [("prometheusRule", "alerts.yaml"), ("dashboard", "dashboard.json")])
def test_monitoring_that_this_chart_lacks_is_refused(newest: Helm, chart: Path, value: str, file: str) -> None:
    (chart / "files" / file).unlink()
    with pytest.raises(Refused, match=rf"metrics\.{value}\.enabled: this chart has no files/{file}"):
        newest.template(values={"metrics": {value: {"enabled": True}}}, chart=chart)


HANDED_ON = ("podSecurityContext", "securityContext")
"""Kubernetes' own maps."""

CLOSED = [
    path
    for path in maps(yaml.safe_load((CHART / "values.yaml").read_text()))
    if path[:1] not in [(name,) for name in HANDED_ON]
]


def test_most_maps_are_closed() -> None:
    assert {(), ("service",), ("service", "ports"), ("metrics", "dashboard"), ("sshNode",), ("rbac",)} <= set(CLOSED)


@pytest.mark.parametrize("path", CLOSED, ids=[".".join(path) or "top" for path in CLOSED])
def test_a_typo_is_refused_by_name(newest: Helm, path: tuple[str, ...]) -> None:
    values: dict[str, Any] = {"enbaled": True}
    for name in reversed(path):
        values = {name: values}
    with pytest.raises(Refused, match=r"schema(?s:.)*'enbaled' not allowed") as refused:
        newest.template(values=values)
    assert f"'{''.join('/' + name for name in path)}'" in str(refused.value)


def test_helm_3_names_a_typo_too(helm: Helm) -> None:
    with pytest.raises(Refused, match=r"(?i)additional propert(y|ies) '?outpostConfg'? (is )?not allowed"):
        helm.template(values={"outpostConfg": ""})
