"""KubeSpawner's names, made of templates that know hub and start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kubespawner import KubeSpawner
from traitlets.config import Config

from core.config import JupyterHubOutpost
from core.model import Identity, Inputs
from core.spawners.build import build, listing_spawner
from tests.unit.test_build import a_service

START = "4f0e"
"""As most start ids: hexadecimal, with a digit first."""


def spawner_at(hub: str, config: Config, **misc: Any) -> Any:
    """Alice's server ``a`` of that hub."""
    service = a_service({"JUPYTERHUB_USER": "alice"}, Inputs())
    service = replace(service, identity=Identity(hub, "a", START), body=replace(service.body, misc=misc))
    return build(service, JupyterHubOutpost(spawner_class=KubeSpawner, config=config))


@pytest.fixture
def config() -> Config:
    """Every name has hub and start in it."""
    made = Config()
    made.KubeSpawner.enable_user_namespaces = True
    made.KubeSpawner.user_namespace_template = "ns-{hub}--{username}-{start_id}"
    made.KubeSpawner.pod_name_template = "pod-{hub}--{user_server}-{start_id}"
    made.KubeSpawner.secret_name_template = "secret-{hub}-{start_id}"
    made.KubeSpawner.pvc_name_template = "claim-{hub}--{user_server}-{start_id}"
    made.KubeSpawner.working_dir = "/home/{hub}/{start_id}"
    return made


@pytest.mark.parametrize(
    ("hub", "scheme", "slug"),
    [
        ("hub1", "safe", "hub1"),
        ("hub1", "escape", "hub1"),
        ("Hub_1", "safe", "hub-1---2a3b008e"),
        ("Hub_1", "escape", "-48ub-5f1"),
        ("a--b", "safe", "a-b---90827a2e"),
    ],
)
def test_hub_and_start_are_known_to_every_name(config: Config, hub: str, scheme: str, slug: str) -> None:
    config.KubeSpawner.slug_scheme = scheme
    spawner = spawner_at(hub, config)

    def names() -> list[str]:
        return [spawner.namespace, spawner.pod_name, spawner.secret_name, spawner.pvc_name, spawner.dns_name]

    namespace, pod = f"ns-{slug}--alice-{START}", f"pod-{slug}--alice--a-{START}"
    expected = [namespace, pod, f"secret-{slug}-{START}", f"claim-{slug}--alice--a-{START}"]
    assert names() == [*expected, f"{pod}.{namespace}.svc.cluster.local"]
    assert spawner.working_dir == f"/home/{slug}/{START}"
    spawner.clear_state()
    assert names() == [*expected, f"{pod}.{namespace}.svc.cluster.local"]


def test_what_is_not_a_name_knows_them_too_and_braces_stay_braces(config: Config) -> None:
    spawner = spawner_at("hub1", config)
    volumes = {"home": {"claimName": "home-{hub}"}, "more": ['{{"hub": "{hub}"}}', "{username}", 7]}
    assert spawner._expand_all(volumes) == {
        "home": {"claimName": "home-hub1"},
        "more": ['{"hub": "hub1"}', "alice", 7],
    }


def test_a_hub_may_send_them(config: Config) -> None:
    assert spawner_at("hub1", config, pod_name_template="{hub}-{username}").pod_name == "hub1-alice"


@pytest.mark.parametrize(("start_id", "slug"), [("0", "0"), ("7F", "x-7f---"), ("-", "x---"), ("a--b", "a-b---")])
def test_any_start_id_is_a_part_of_a_name(start_id: str, slug: str) -> None:
    service = replace(a_service({"JUPYTERHUB_USER": "alice"}, Inputs()), identity=Identity("hub1", "a", start_id))
    spawner: Any = build(service, JupyterHubOutpost(spawner_class=KubeSpawner, config=Config()))
    made = spawner._expand_user_properties("{start_id}")
    assert made == slug if not slug.endswith("-") else made.startswith(slug)


async def test_a_spawner_that_is_nobodys_can_be_made(config: Config) -> None:
    async with listing_spawner(JupyterHubOutpost(spawner_class=KubeSpawner, config=config)) as spawner:
        assert spawner is not None
