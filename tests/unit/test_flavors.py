"""What hubs are told of flavors and credits, and what applies to a start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
import yaml
from traitlets.config import Config

from core.config import JupyterHubOutpost
from core.errors import ConfigError, NotAllowed
from core.flavors import Flavors, Limits
from core.model import UNDEFINED_FLAVOR, JsonDict, Usage
from core.ports import Store
from core.rules import CREDITS, FLAVORS, Form, Rules
from core.rules.read import rules_of

Hook = Callable[..., Any]
SMALL = {"max": 5, "weight": 2, "display_name": "Small", "description": "2 hours", "runtime": {"hours": 2}}


class Counts:
    """A store that only counts."""

    def usage(self, hub: str, user_id: str | None = None) -> Usage:
        """The same for every hub but one."""
        return Usage() if hub == "empty" else Usage(hub={"small": 2, "old": 3, None: 1})


def rules(data: JsonDict | None, form: Form = FLAVORS) -> Rules | None:
    """The rules in a file with this content, or no file."""
    return None if data is None else rules_of(yaml.safe_dump(data, sort_keys=False), form, "f.yaml")


def flavors_with(file: JsonDict | None = None, credit_file: JsonDict | None = None, **traits: Any) -> Flavors:
    """Flavors under this configuration."""
    outpost = JupyterHubOutpost(config=Config({"JupyterHubOutpost": traits}))
    store = cast(Store, Counts())
    return Flavors(lambda: outpost, lambda: rules(file), lambda: rules(credit_file, CREDITS), store)


def forms_of(value: Any) -> list[Any]:
    """A value, a function and a coroutine function that say the same."""

    async def coroutine(*_: Any) -> Any:
        return value

    return [value, lambda *_: value, coroutine]


def undefined(limit: int, current: int) -> JsonDict:
    """The entry for what has no flavor."""
    return {"max": limit, "weight": 1, "display_name": "default flavor", "description": "", "current": current}


async def test_with_nothing_configured_there_are_no_flavors_and_everything_is_allowed() -> None:
    flavors = flavors_with()
    assert await flavors.of_hub("h") == {}
    assert await flavors.of_user("h", {"name": "ada"}) == {}
    assert await flavors.limits("h", "anything", None) == Limits(UNDEFINED_FLAVOR)
    assert await flavors.limits("h", None, {"name": "ada"}) == Limits(UNDEFINED_FLAVOR)


async def test_the_limit_of_all_a_users_servers_holds_without_any_flavors() -> None:
    assert (await flavors_with(global_max_per_user=3).limits("h", None, None)).global_max_per_user == 3
    file: JsonDict = {"flavors": {"small": {}}}
    assert (await flavors_with(file, global_max_per_user=3).limits("h", "small", None)).global_max_per_user == 3


@pytest.mark.parametrize("value", forms_of({"small": SMALL, "bare": 7, "own": {"gpu": "a100"}}))
async def test_flavors_are_told_with_their_use(value: Any) -> None:
    expected = {
        "small": {**SMALL, "current": 2},
        "bare": {"max": 7, "weight": 1, "display_name": "bare", "description": "", "current": 0},
        "own": {"max": -1, "weight": 1, "display_name": "own", "description": "", "gpu": "a100", "current": 0},
        UNDEFINED_FLAVOR: undefined(-1, 4),
    }
    flavors = flavors_with(flavors=value)
    assert await flavors.of_hub("h") == expected
    assert await flavors.of_user("h", {"name": "ada"}) == expected


@pytest.mark.parametrize("value", forms_of(3))
async def test_undefined_max_is_reported_and_limits_what_has_no_known_flavor(value: Any) -> None:
    flavors = flavors_with(flavors={"small": SMALL}, flavors_undefined_max=value)
    assert (await flavors.of_hub("h"))[UNDEFINED_FLAVOR] == undefined(3, 4)
    assert (await flavors.of_hub("empty"))[UNDEFINED_FLAVOR] == undefined(3, 0)
    expected = Limits(UNDEFINED_FLAVOR, 3, defined=frozenset({"small"}))
    assert await flavors.limits("h", None, None) == expected
    assert await flavors.limits("h", "old", None) == expected
    assert await flavors.limits("h", UNDEFINED_FLAVOR, None) == expected


async def test_undefined_max_alone_makes_the_entry_appear() -> None:
    assert await flavors_with(flavors_undefined_max=0).of_hub("h") == {UNDEFINED_FLAVOR: undefined(0, 6)}


async def test_hooks_are_asked_with_the_name_of_the_hub() -> None:
    flavors = flavors_with(flavors=lambda hub: {hub: 1}, flavors_undefined_max=lambda hub: {"one": 1, "two": 2}[hub])
    answer = await flavors.of_hub("two")
    assert set(answer) == {"two", UNDEFINED_FLAVOR}
    assert answer[UNDEFINED_FLAVOR]["max"] == 2


async def test_a_start_gets_the_limits_of_its_flavor() -> None:
    flavors = flavors_with(flavors={"small": SMALL | {"maxPerUser": 1}, "bare": 7}, global_max_per_user=9)
    assert await flavors.limits("h", "small", None) == Limits("small", 5, 1, 9, timedelta(hours=2))
    assert await flavors.limits("h", "bare", None) == Limits("bare", 7, -1, 9)


async def test_an_answer_that_is_changed_changes_no_other() -> None:
    shared = {"small": {"max": 5, "runtime": {"hours": 2}, "resources": {"gpus": [1]}}}
    flavors = flavors_with(flavors=lambda _: shared)
    answer = await flavors.of_hub("one")
    answer["small"]["max"] = 99
    answer["small"]["runtime"]["hours"] = 99
    answer["small"]["resources"]["gpus"].append(2)
    assert (await flavors.of_hub("two"))["small"]["max"] == 5
    assert shared == {"small": {"max": 5, "runtime": {"hours": 2}, "resources": {"gpus": [1]}}}
    assert (await flavors.limits("two", "small", None)).runtime == timedelta(hours=2)


# user_flavors


def saying(answer: Any) -> list[Hook]:
    """A function and a coroutine function that answer this."""
    return cast(list[Hook], forms_of(answer)[1:])


@pytest.mark.parametrize("hook", saying(True))
async def test_a_user_with_true_has_the_hubs_flavors(hook: Hook) -> None:
    flavors = flavors_with(flavors={"small": SMALL}, user_flavors=hook)
    assert await flavors.of_user("h", {"name": "ada"}) == await flavors.of_hub("h")
    assert (await flavors.limits("h", "small", {"name": "ada"})).max == 5


@pytest.mark.parametrize("hook", saying(False))
@pytest.mark.parametrize("flavor", ["small", "other", None])
async def test_a_user_with_false_has_nothing(hook: Hook, flavor: str | None) -> None:
    flavors = flavors_with(flavors={"small": SMALL}, user_flavors=hook)
    assert await flavors.of_user("h", {"name": "ada"}) == {}
    with pytest.raises(NotAllowed, match="You may not start servers on this system"):
        await flavors.limits("h", flavor, {"name": "ada"})


@pytest.mark.parametrize("hook", saying({"large": {"max": 1, "maxPerUser": 1}}))
async def test_a_user_with_a_dict_has_those_flavors(hook: Hook) -> None:
    flavors = flavors_with(flavors={"small": SMALL}, user_flavors=hook, flavors_undefined_max=8)
    answer = await flavors.of_user("h", {"name": "ada"})
    assert set(answer) == {"large", UNDEFINED_FLAVOR}
    assert answer[UNDEFINED_FLAVOR] == undefined(8, 4)
    assert (await flavors.limits("h", "large", {"name": "ada"})).max_per_user == 1
    assert (await flavors.limits("h", "other", {"name": "ada"})).defined == {"small", "large"}
    with pytest.raises(NotAllowed, match="You may not use the flavor 'small' here; choose one of: large"):
        await flavors.limits("h", "small", {"name": "ada"})


async def test_user_flavors_sees_the_outpost_the_hub_and_the_user() -> None:
    seen: list[Any] = []

    async def hook(outpost: JupyterHubOutpost, hub: str, authentication: JsonDict) -> JsonDict:
        seen.append((outpost.log_level, hub, authentication))
        flavors: JsonDict = await outpost.get_flavors(hub)
        return {name: flavor | {"max": 1} for name, flavor in flavors.items()}

    flavors = flavors_with(flavors=lambda hub: {hub: SMALL}, user_flavors=hook)
    answer = await flavors.of_user("h", {"name": "ada"})
    assert answer["h"] == {**SMALL, "max": 1, "current": 0}
    assert seen == [(20, "h", {"name": "ada"})]


async def test_user_flavors_is_asked_even_when_the_hub_says_nothing_of_the_user() -> None:
    flavors = flavors_with(user_flavors=lambda _outpost, _hub, authentication: bool(authentication.get("name")))
    with pytest.raises(NotAllowed):
        await flavors.limits("h", None, None)
    assert (await flavors.limits("h", None, {"name": "ada"})).max == -1


@pytest.mark.parametrize(
    "hook",
    [
        lambda authentication: authentication | {"name": authentication["name"].lower()},
        forms_of({"name": "ada"})[2],
    ],
)
async def test_the_authentication_is_completed_before_it_is_matched(hook: Hook) -> None:
    users: JsonDict = {"u": {"authentication": {"name": "ada"}, "flavors": ["b"]}}
    file = {"flavors": {"a": {}, "b": {}}, "users": users}
    credit_file = {
        "credits": {"a": {}, "b": {}},
        "users": {"u": {"authentication": {"name": "ada"}, "credits": ["b"]}},
    }
    flavors = flavors_with(file, credit_file, update_user_authentication=hook)
    given = {"name": "ADA"}
    assert set(await flavors.of_user("h", given)) == {"b"}
    assert set(await flavors.credits_of_user("h", given)) == {"b"}
    with pytest.raises(NotAllowed):
        await flavors.limits("h", "a", given)
    assert given == {"name": "ADA"}
    by_hook = flavors_with(
        update_user_authentication=hook, user_flavors=lambda _outpost, _hub, found: found["name"] == "ada"
    )
    assert await by_hook.of_user("h", given) != {}


async def test_a_hook_that_spoils_its_argument_spoils_nothing_else() -> None:
    def hook(authentication: JsonDict) -> JsonDict:
        authentication["groups"].append("spoiled")
        return authentication

    given: JsonDict = {"groups": ["a"]}
    await flavors_with({"flavors": {"a": {}}}, update_user_authentication=hook).of_user("h", given)
    assert given == {"groups": ["a"]}


# Mistakes in outpost_config.py


def raising(*_: Any) -> Any:
    """A hook with a bug."""
    return cast(JsonDict, {})["privileged"]


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"flavors": lambda _: None}, "flavors: must be a dict of flavors, not None"),
        ({"flavors": {"a": "ten"}}, "flavors.a: must be a dict or the flavor's max, must be a whole number"),
        ({"flavors": {"a": True}}, "flavors.a: must be a dict or the flavor's max"),
        ({"flavors": {"a": -2}}, "flavors.a: must be a dict or the flavor's max"),
        ({"flavors": {"a": {"max": "10"}}}, "flavors.a.max: must be a whole number, -1 for no limit or 0 for none"),
        ({"flavors": {"a": {"runtime": {"years": 1}}}}, "flavors.a.runtime.years: unknown key; known are weeks, days"),
        ({"flavors": {"a": {"runtime": 5}}}, "flavors.a.runtime: "),
        ({"flavors": {"a": {"since": timedelta(1)}}}, "flavors.a: cannot be told to hubs as JSON"),
        ({"flavors": {5: {}}}, "flavors: the name of a flavor must be a string, not 5"),
        ({"flavors": {"_undefined": 1}}, "flavors: the name '_undefined' is reserved; use flavors_undefined_max"),
        ({"flavors": raising}, "flavors: KeyError: 'privileged'"),
        ({"flavors_undefined_max": lambda _: None}, "flavors_undefined_max: must be a whole number"),
        ({"flavors_undefined_max": -5}, "flavors_undefined_max: must be a whole number"),
        ({"flavors_undefined_max": raising}, "flavors_undefined_max: KeyError: 'privileged'"),
        ({"user_flavors": lambda *_: None}, "user_flavors: must return True, False or a dict of flavors, not None"),
        ({"user_flavors": lambda *_: {"a": {"max": "x"}}}, "user_flavors.a.max: must be a whole number"),
        ({"user_flavors": raising}, "user_flavors: KeyError: 'privileged'"),
        (
            {"flavors": {"a": 1}, "update_user_authentication": lambda _: "secret"},
            "update_user_authentication: must return a dict, not str",
        ),
        ({"flavors": {"a": 1}, "update_user_authentication": raising}, "update_user_authentication: KeyError"),
    ],
)
async def test_what_cannot_be_used_is_named(traits: JsonDict, message: str) -> None:
    flavors = flavors_with(**traits)
    for asked in (flavors.of_user("h", {"name": "ada"}), flavors.limits("h", None, {"name": "ada"})):
        with pytest.raises(ConfigError) as caught:
            await asked
        assert str(caught.value).startswith(message)


async def test_a_hook_may_refuse_in_its_own_words() -> None:
    def hook(*_: Any) -> Any:
        raise NotAllowed("Sign the terms of use first")

    with pytest.raises(NotAllowed, match="Sign the terms of use first"):
        await flavors_with(user_flavors=hook).limits("h", None, {})


# Files

FILE: JsonDict = {
    "flavors": {"small": SMALL, "large": {"max": 1, "maxPerUser": 1}},
    "hubs": {"s": {"jupyterhub_name": "h", "flavors": ["small"]}},
    "users": {
        "u": {"authentication": {"name": "ada"}, "flavorsOverride": {"small": {"max": 7, "runtime": {"days": 1}}}},
        "f": {"authentication": {"name": "mallory"}, "forbidden": True},
    },
}


async def test_with_a_file_the_traits_for_flavors_are_not_used() -> None:
    flavors = flavors_with(FILE, flavors=raising, flavors_undefined_max=raising, user_flavors=raising)
    assert await flavors.of_hub("h") == {"small": {**SMALL, "current": 2}}
    assert set(await flavors.of_user("h", {"name": "ada"})) == {"small", "large"}
    assert (await flavors.limits("h", "small", None)).max == 5


async def test_with_a_file_a_start_gets_the_users_values() -> None:
    limits = await flavors_with(FILE).limits("h", "small", {"name": "ada"})
    assert limits == Limits("small", 7, -1, -1, timedelta(days=1))
    assert (await flavors_with(FILE).limits("h", "large", {"name": "ada"})).max_per_user == 1


@pytest.mark.parametrize(
    ("flavor", "user", "sentence"),
    [
        (None, None, "Choose a flavor for this server: small"),
        (None, "ada", "Choose a flavor for this server: small, large"),
        ("large", None, "You may not use the flavor 'large' here; choose one of: small"),
        ("other", "ada", "You may not use the flavor 'other' here; choose one of: small, large"),
        (UNDEFINED_FLAVOR, "ada", "You may not use the flavor '_undefined' here; choose one of: small, large"),
        ("small", "mallory", "You may not use any flavor of this system"),
        (None, "mallory", "You may not use any flavor of this system"),
    ],
)
async def test_with_a_file_a_flavor_is_mandatory_and_must_be_the_users(
    flavor: str | None, user: str | None, sentence: str
) -> None:
    with pytest.raises(NotAllowed) as caught:
        await flavors_with(FILE).limits("h", flavor, {"name": user} if user else None)
    assert caught.value.args == (sentence,)


async def test_with_a_file_that_defines_nothing_nothing_may_be_started() -> None:
    flavors = flavors_with({"flavors": {}})
    assert await flavors.of_hub("h") == {}
    with pytest.raises(NotAllowed, match="You may not use any flavor"):
        await flavors.limits("h", "small", None)


async def test_a_file_that_appears_or_goes_counts_from_then_on() -> None:
    files: list[JsonDict | None] = [None, FILE, None]
    outpost = JupyterHubOutpost()
    flavors = Flavors(lambda: outpost, lambda: rules(files[0]), lambda: None, cast(Store, Counts()))
    assert await flavors.of_hub("h") == {}
    files.pop(0)
    assert set(await flavors.of_hub("h")) == {"small"}
    files.pop(0)
    assert await flavors.of_hub("h") == {}


async def test_credits_come_from_their_file_alone() -> None:
    credit_file = {
        "credits": {"c": {"cap": 10}, "d": {"cap": 20}},
        "hubs": {"s": {"jupyterhub_name": "h", "credits": ["c"]}},
        "users": {"f": {"authentication": {"name": "mallory"}, "forbidden": True}},
    }
    flavors = flavors_with(None, credit_file)
    assert await flavors.credits_of_hub("h") == {"c": {"cap": 10}}
    assert await flavors.credits_of_hub("x") == {"c": {"cap": 10}, "d": {"cap": 20}}
    assert await flavors.credits_of_user("h", {"name": "ada"}) == {"c": {"cap": 10}}
    assert await flavors.credits_of_user("h", {"name": "mallory"}) == {
        "cap": 0,
        "grant_value": 0,
        "grant_interval": 86400,
    }
    assert await flavors_with(FILE).credits_of_hub("h") == {}
    assert await flavors_with(FILE).credits_of_user("h", {"name": "ada"}) == {}


def test_listing_flavors_does_not_pay_for_jupyterhub() -> None:
    code = (
        "import sys, core.flavors, core.rules\n"
        "print(*sorted({'jupyterhub', 'kubespawner', 'sqlalchemy', 'fastapi', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
