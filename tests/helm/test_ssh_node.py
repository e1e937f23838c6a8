"""What the chart makes of an SSH node, in Outpost's container or by itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helm.helm import RELEASE, Helm, Object, environment, one, outpost_container, pods_of
from tests.helm.releases import KEY, SEPARATE


def test_one_container_is_api_and_ssh_node_unless_they_are_separate(newest: Helm) -> None:
    together = newest.template(values={"sshPublicKeys": [KEY]})
    assert outpost_container(together)["command"] == ["/usr/local/bin/outpost"]
    assert [port["name"] for port in outpost_container(together)["ports"]] == ["http", "ssh"]
    assert len(list(pods_of(together))) == 1

    separate = newest.template(values=SEPARATE)
    assert "command" not in outpost_container(separate)
    assert [port["name"] for port in outpost_container(separate)["ports"]] == ["http"]
    node = one(separate, "Deployment", f"{RELEASE}-ssh")["spec"]["template"]["spec"]["containers"][0]
    assert node["command"] == ["/usr/local/bin/ssh-node"]
    assert [port["name"] for port in node["ports"]] == ["ssh"]


def test_an_ssh_node_is_waited_for_at_the_charts_service_or_at_one_that_is_named(newest: Helm) -> None:
    """A name that is no Service would be waited for without end."""

    def waits_at(**values: Any) -> str | None:
        return environment(newest.template(values={"sshPublicKeys": [KEY], **values}), {}).get(
            "OUTPOST_SSH_NODE_SERVICE"
        )

    mine: dict[str, Any] = {"servicessh": {"enabled": False}}
    assert waits_at() == f"{RELEASE}-ssh.jupyter.svc:22"
    assert waits_at(**mine) is None
    assert waits_at(**mine, extraEnvVars={"OUTPOST_SSH_NODE_SERVICE": "mine:22"}) == "mine:22"
    made = newest.template(values={"sshPublicKeys": [KEY], **mine})
    assert [item["metadata"]["name"] for item in made if item["kind"] == "Service"] == [RELEASE]


def ssh_node(made: list[Object]) -> dict[str, str]:
    """The plain variables of a separate SSH node."""
    (container,) = one(made, "Deployment", f"{RELEASE}-ssh")["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def test_what_an_ssh_node_may_reach_is_said_to_it_where_it_runs(newest: Helm) -> None:
    permitted = {"permitOpen": ["*:8888", "10.0.0.1:*"]}
    inside = newest.template(values={"sshPublicKeys": [KEY], "sshNode": permitted})
    assert environment(inside, {})["OUTPOST_SSH_PERMIT_OPEN"] == "*:8888 10.0.0.1:*"
    separate = newest.template(values={"sshPublicKeys": [KEY], "sshNode": {"separate": True, **permitted}})
    assert ssh_node(separate)["OUTPOST_SSH_PERMIT_OPEN"] == "*:8888 10.0.0.1:*"
    for values in ({"sshPublicKeys": [KEY]}, SEPARATE):
        assert "OUTPOST_SSH_PERMIT_OPEN" not in str(newest.template(values=values))


def test_an_ssh_node_runs_as_the_user_that_the_image_knows(newest: Helm) -> None:
    """Others are refused."""
    for values in ({}, {"podSecurityContext": {"runAsUser": None}, "securityContext": {"runAsUser": 1000}}):
        for pod in pods_of(newest.template(values={**SEPARATE, **values})):
            context = pod["spec"]["securityContext"] | pod["spec"]["containers"][0]["securityContext"]
            assert context["runAsUser"] == 1000


def test_the_way_to_an_ssh_node_is_there_before_the_api_is_ready_where_they_are_one(newest: Helm) -> None:
    def early(values: dict[str, Any]) -> bool:
        spec = one(newest.template(values=values), "Service", f"{RELEASE}-ssh")["spec"]
        return bool(spec.get("publishNotReadyAddresses", False))

    assert early({"sshPublicKeys": [KEY]})
    assert not early(SEPARATE)


@pytest.mark.parametrize("more", [{"sshPublicKeys": [KEY]}, SEPARATE], ids=["one container", "separate"])
def test_a_policy_lets_the_ssh_node_see_whether_it_can_be_reached(newest: Helm, more: dict[str, Any]) -> None:
    """Hubs are asked for their tunnels only then."""
    outside, inside = {"ipBlock": {"cidr": "192.0.2.0/24"}}, {"port": "ssh", "protocol": "TCP"}
    policy: dict[str, Any] = {"enabled": True, "sshFrom": [outside], "egress": [{"to": [outside]}]}
    if more is SEPARATE:
        policy["sshEgress"] = [{"to": [outside]}]
    made = newest.template(values={"networkPolicy": policy, **more})
    of_node = f"{RELEASE}-ssh" if more is SEPARATE else RELEASE
    spec = one(made, "NetworkPolicy", of_node)["spec"]
    itself = {"podSelector": spec["podSelector"]}
    assert {"ports": [inside], "from": [outside, itself]} in spec["ingress"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {"ports": [inside], "to": [itself]} in spec["egress"]
    services = [item for item in made if item["kind"] == "Service" and item["metadata"]["name"] == f"{RELEASE}-ssh"]
    assert services[0]["spec"]["selector"] == spec["podSelector"]["matchLabels"]


def test_a_policy_says_what_a_separate_ssh_node_reaches_beside_the_api(newest: Helm) -> None:
    servers, database = ({"to": [{"ipBlock": {"cidr": cidr}}]} for cidr in ("192.0.2.0/24", "198.51.100.7/32"))
    policy = {"enabled": True, "egress": [database]}
    made = newest.template(values={"networkPolicy": policy, **SEPARATE})
    assert one(made, "NetworkPolicy", f"{RELEASE}-ssh")["spec"]["policyTypes"] == ["Ingress"]
    made = newest.template(values={"networkPolicy": policy | {"sshEgress": [servers]}, **SEPARATE})
    api, node = (one(made, "NetworkPolicy", name)["spec"] for name in (RELEASE, f"{RELEASE}-ssh"))
    tells = {"ports": [{"port": "http", "protocol": "TCP"}], "to": [{"podSelector": api["podSelector"]}]}
    assert servers in node["egress"]
    assert tells in node["egress"]
    assert database not in node["egress"]
    assert api["egress"] == [database]
