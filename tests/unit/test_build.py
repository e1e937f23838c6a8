"""What a Spawner is built of, without what it has anyway."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from kubespawner import KubeSpawner
from traitlets import Undefined, Unicode
from traitlets.config import Config

from core.config import JupyterHubOutpost
from core.model import Body, Identity, Inputs, Service, Status
from core.spawners.build import build
from core.spawners.remote import constructor_arguments

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOLD = {
    "JUPYTERHUB_CLIENT_ID": "client",
    "JUPYTERHUB_COOKIE_OPTIONS": '{"samesite": "None"}',
    "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": "1",
    "JUPYTERHUB_ADMIN_ACCESS": "1",
    "JUPYTERHUB_PUBLIC_URL": "https://user.example",
    "JUPYTERHUB_PUBLIC_HUB_URL": "https://hub.example",
}


def a_service(env: dict[str, str], inputs: Inputs, **user_options: Any) -> Service:
    """A running service."""
    body = Body(env=env, user_options=user_options)
    return Service(1, Identity("hub", "a", "0"), "1", None, Status.RUNNING, 1, NOW, NOW, body, inputs)


@pytest.mark.parametrize("spawner_class", [Spawner, LocalProcessSpawner, SimpleLocalProcessSpawner, KubeSpawner])
def test_what_a_spawner_is_not_told_is_false_by_default_and_without_configuration(spawner_class: Any) -> None:
    everything = constructor_arguments(a_service(TOLD, Inputs(certs={"keyfile": "PEM"}), gpu=1))
    left_out = everything.keys() - constructor_arguments(a_service({}, Inputs())).keys()
    assert len(left_out) == 8
    traits = spawner_class.class_traits()
    assert not [name for name in left_out | {"authenticator"} if traits[name].metadata.get("config")]
    assert not [name for name in left_out if traits[name].default_value not in (Undefined, "", False, None, {})]


async def test_what_a_profile_changes_is_of_one_server_and_stays_out_of_configuration_and_misc() -> None:
    """KubeSpawner merges a profile into the values that it finds, however deep."""
    config = Config()
    config.KubeSpawner.extra_pod_config = {"securityContext": {"fsGroup": 100}}
    changes = {"securityContext": {"fsGroup": 0}, "dnsConfig": {"searches": ["b"]}}
    config.KubeSpawner.profile_list = [
        {"display_name": "Root", "slug": "root", "kubespawner_override": {"extra_pod_config": changes}},
        {"display_name": "Plain", "slug": "plain"},
    ]
    configured = deepcopy(config.KubeSpawner.extra_pod_config)
    outpost = JupyterHubOutpost(spawner_class=KubeSpawner, config=config)
    misc = {"extra_pod_config": {"dnsConfig": {"searches": ["a"]}}}
    seen: dict[str, Any] = {}
    for profile in ("root", "plain"):
        service = a_service({}, Inputs(), profile=profile)
        service = replace(service, body=replace(service.body, misc=misc))
        spawner: Any = build(service, outpost)
        await spawner.load_user_options()
        seen[profile] = spawner.extra_pod_config
    assert seen["root"] == changes
    assert seen["plain"] == configured | misc["extra_pod_config"]
    assert config.KubeSpawner.extra_pod_config == configured
    assert misc == {"extra_pod_config": {"dnsConfig": {"searches": ["a"]}}}


def test_traits_that_an_object_gets_later_are_its_own() -> None:
    outpost = JupyterHubOutpost(spawner_class=SimpleLocalProcessSpawner)
    first, second = (build(a_service({}, Inputs()), outpost) for _ in range(2))
    configurable = second.traits(config=True)
    assert configurable == SimpleLocalProcessSpawner.class_traits(config=True)
    first.add_traits(motto=Unicode().tag(config=True))  # type: ignore[attr-defined]  # traitlets has it
    configurable.clear()
    assert "motto" in first.traits(config=True)
    assert second.traits(config=True) == SimpleLocalProcessSpawner.class_traits(config=True)
