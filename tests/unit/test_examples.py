"""The examples in the documentation run as they stand."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.config import JupyterHubOutpost, load_config
from core.errors import ConfigError, NotAllowed
from core.flavors import Flavors
from core.hooks import resolve
from core.model import UNDEFINED_FLAVOR, JsonDict, Usage
from core.ports import Store
from core.rules import CREDITS, FLAVORS, RuleFile
from core.rules import resolve as resolve_rules
from core.spawners.resolve import spawner_class

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str) -> JupyterHubOutpost:
    """The configuration that this example makes."""
    return load_config(EXAMPLES / f"{name}.py")


class Counts:
    """A store in which the hub has 3 servers of ``typeb`` and one without a flavor."""

    def usage(self, hub: str, user_id: str | None = None) -> Usage:
        """The same for every hub."""
        return Usage(hub={"typeb": 3, None: 1})


def flavors_of(outpost: JupyterHubOutpost) -> Flavors:
    """Flavors under this configuration, without files."""
    return Flavors(lambda: outpost, lambda: None, lambda: None, cast(Store, Counts()))


@pytest.fixture
def tornado_log() -> Iterator[logging.Logger]:
    """The logger that an example filters, as it was afterwards."""
    logger = logging.getLogger("tornado.general")
    before = logger.filters[:]
    yield logger
    logger.filters[:] = before


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
@pytest.mark.usefixtures("tornado_log")
def test_every_example_is_a_configuration(name: str) -> None:
    assert isinstance(example(name), JupyterHubOutpost)


def test_kubespawner() -> None:
    outpost = example("kubespawner")
    assert spawner_class(outpost.spawner_class).__name__ == "KubeSpawner"
    assert outpost.config.KubeSpawner.image == "jupyter/minimal-notebook:notebook-7.0.3"


def test_logging(tornado_log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGGER_NAME", "here")
    outpost = example("logging_filter")
    assert "here %(name)s" in outpost.log_format

    def is_logged(message: str) -> bool:
        return bool(tornado_log.filter(tornado_log.makeRecord("x", logging.INFO, "f", 1, message, (), None)))

    assert not is_logged("Could not open static file 'x'")
    assert is_logged("Something else")


async def test_sanitize_start_response() -> None:
    assert await resolve(example("sanitize_start_response").sanitize_start_response, None, "http://x") == "<...>"


@pytest.mark.parametrize(
    ("hub", "misc", "allowed"),
    [
        ("trustedhub", {"anything": 1}, True),
        ("other", {"image": "allowed_image1"}, True),
        ("other", {"image": "another"}, False),
        ("other", {"image": "allowed_image1", "cmd": "x"}, False),
    ],
)
async def test_allow_override(hub: str, misc: JsonDict, allowed: bool) -> None:
    assert await resolve(example("allow_override").allow_override, hub, misc) is allowed


@pytest.mark.parametrize(("hub", "again"), [("local_jupyterhub", False), ("other", True)])
async def test_ssh_recreate_at_start(hub: str, again: bool) -> None:
    outpost = example("ssh_recreate_at_start")
    assert await resolve(outpost.ssh_recreate_at_start, outpost, hub) is again


async def test_flavors() -> None:
    flavors = flavors_of(example("flavors"))
    assert await flavors.of_hub("privileged") == {
        "typea": {
            "max": -1,
            "weight": 10,
            "display_name": "2GB RAM, 1VCPU, 5 days",
            "description": "JupyterLab will run for max 5 days with 2GB RAM and 1VCPU.",
            "runtime": {"days": 5},
            "current": 0,
        },
        UNDEFINED_FLAVOR: _undefined(-1, 4),
    }
    answer = await flavors.of_hub("other")
    assert set(answer) == {"typeb", UNDEFINED_FLAVOR}
    assert answer["typeb"]["current"] == 3
    assert answer["typeb"]["runtime"] == {"hours": 2}
    assert (await flavors.limits("other", "typeb", None)).max == 10
    assert (await flavors.limits("other", "typea", None)).flavor == UNDEFINED_FLAVOR


async def test_flavors_undefined_max() -> None:
    flavors = flavors_of(example("flavors_undefined_max"))
    assert await flavors.of_hub("hub") == {UNDEFINED_FLAVOR: _undefined(0, 4)}
    assert (await flavors.limits("hub", "anything", None)).max == 0


def _undefined(limit: int, current: int) -> JsonDict:
    return {"max": limit, "weight": 1, "display_name": "default flavor", "description": "", "current": current}


async def test_flavors_update_token(monkeypatch: pytest.MonkeyPatch) -> None:
    token: Any = example("flavors_update_token").flavors_update_token
    monkeypatch.setenv("FLAVOR_HUB_AUTH_TOKEN", "the token")
    assert await resolve(token, "hub") == "the token"
    with pytest.raises(Exception, match="Flavor auth token for other not configured"):
        await resolve(token, "other")


ADA = {"name": "ada@example.org"}


@pytest.mark.parametrize(
    ("hub", "user", "allowed"),
    [
        ("anyhub", None, {"small": {"days": 5}}),
        ("physics", None, {"small": {"days": 14}, "large": {"hours": 8}}),
        ("lab-7", ADA, {"small": {"days": 14}, "large": {"hours": 8}}),
        ("physics", ADA | {"groups": ["gpu-2"]}, {"small": {"days": 14}, "large": {"hours": 8}, "gpu": {"hours": 2}}),
        ("anyhub", ADA | {"groups": ["gpu-2"]}, {"small": {"days": 5}}),
        ("physics", {"name": "guest@elsewhere.com"}, {"small": {"hours": 1}}),
        ("physics", {"name": "mallory@example.org", "groups": ["gpu"]}, {}),
    ],
)
def test_the_flavors_file(hub: str, user: JsonDict | None, allowed: JsonDict) -> None:
    rules = RuleFile(EXAMPLES / "flavors.yaml", FLAVORS)()
    assert rules is not None
    found = resolve_rules(rules, hub, user).values
    assert {name: flavor["runtime"] for name, flavor in found.items()} == allowed


@pytest.mark.parametrize(
    ("hub", "user", "cap"),
    [
        ("anyhub", ADA, 1000),
        ("physics", ADA, 5000),
        ("physics", {"name": "guest@elsewhere.com"}, 100),
    ],
)
def test_the_credits_file(hub: str, user: JsonDict, cap: int) -> None:
    rules = RuleFile(EXAMPLES / "credits.yaml", CREDITS)()
    assert rules is not None
    assert resolve_rules(rules, hub, user).values["standard"]["cap"] == cap
    assert resolve_rules(rules, hub, {"name": "mallory@example.org"}).answer["cap"] == 0


async def test_whom_the_flavors_file_locks_out_may_start_nothing() -> None:
    outpost = JupyterHubOutpost()
    rules = RuleFile(EXAMPLES / "flavors.yaml", FLAVORS)
    flavors = Flavors(lambda: outpost, rules, lambda: None, cast(Store, Counts()))
    with pytest.raises(NotAllowed):
        await flavors.limits("physics", "small", {"name": "mallory@example.org"})


def test_an_example_with_a_typo_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "flavors.yaml"
    path.write_text((EXAMPLES / "flavors.yaml").read_text().replace("maxPerUser: 1", "maxPerUsr: 1"))
    with pytest.raises(ConfigError, match=r"flavors\.gpu\.maxPerUsr: unknown key; did you mean 'maxPerUser'"):
        RuleFile(path, FLAVORS)
