"""The resolver: one row a rule, and what holds for every file."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import JsonDict
from core.rules import CREDITS, FLAVORS, Form, Rules, resolve
from core.rules.explain import explain
from core.rules.patterns import Kind, pattern
from core.rules.read import rules_of


def rules(data: JsonDict, form: Form = FLAVORS) -> Rules:
    """The rules in a file with this content."""
    found = rules_of(yaml.safe_dump(data, sort_keys=False), form, "f.yaml")
    assert found is not None
    return found


FLAVOR_KEYS: JsonDict = {"a": {"max": 1, "runtime": {"days": 5}}, "b": {"max": 2}, "c": {}}


def names(hubs: JsonDict, users: JsonDict, hub: str, authentication: JsonDict | None = None) -> str:
    """The flavors of a hub or user, as ``"ab"``."""
    found = resolve(rules({"flavors": FLAVOR_KEYS, "hubs": hubs, "users": users}), hub, authentication)
    return "".join(found.values)


def hub_set(pattern_or_list: Any, *flavors: str, **more: Any) -> JsonDict:
    return {"jupyterhub_name": pattern_or_list, "flavors": list(flavors), **more}


def user_set(authentication: JsonDict, *flavors: str, **more: Any) -> JsonDict:
    return {"authentication": authentication, "flavors": list(flavors), **more}


@pytest.mark.parametrize(
    ("hubs", "hub", "allowed"),
    [
        pytest.param({}, "h", "abc", id="without sets: all"),
        pytest.param({"s": hub_set("other", "a")}, "h", "abc", id="no match: all"),
        pytest.param({"s": hub_set("h", "a", "c")}, "h", "ac", id="the flavors of the set"),
        pytest.param({"s": {"jupyterhub_name": "h"}}, "h", "abc", id="a set without flavors has all"),
        pytest.param({"s": hub_set("h")}, "h", "", id="an empty list is none"),
        pytest.param({"s": hub_set("h[0-9]+", "a")}, "h12", "a", id="regular expression"),
        pytest.param({"s": hub_set("h", "a")}, "hh", "abc", id="a pattern is for the whole name"),
        pytest.param({"s": hub_set("*.org", "a")}, "x.org", "a", id="glob that is no regular expression"),
        pytest.param({"s": hub_set("x?", "a")}, "xy", "a", id="glob that is one too"),
        pytest.param({"s": hub_set("h+", "a")}, "h+", "a", id="as it stands"),
        pytest.param({"s": hub_set("[a]", "a")}, "[a]", "a", id="as it stands, though it is a glob too"),
        pytest.param({"s": hub_set(["x", "h"], "a")}, "h", "a", id="one of a list"),
        pytest.param({"s": hub_set(["x", "h.*"], "a")}, "h1", "a", id="patterns in a list"),
        pytest.param({"s": hub_set(["x.y"], "a")}, "xzy", "abc", id="a dot in a list is a dot"),
        pytest.param({"s": hub_set([], "a")}, "h", "abc", id="an empty list of hubs is no hub"),
        pytest.param(
            {"s": hub_set("h", "a", weight=2), "t": hub_set("h", "b", weight=10), "u": hub_set(".*", "c")},
            "h",
            "b",
            id="the highest weight",
        ),
        pytest.param(
            {"s": hub_set("h", "a"), "t": hub_set("h", "b", weight=-1)}, "h", "a", id="weight is 0 by default"
        ),
        pytest.param({"t": hub_set("h", "b"), "s": hub_set("h", "a")}, "h", "a", id="equal weights: by name"),
    ],
)
def test_the_hub_gets(hubs: JsonDict, hub: str, allowed: str) -> None:
    assert names(hubs, {}, hub) == allowed


HUBS = {"s": hub_set("h.*", "a"), "special": hub_set("h2", "a", weight=3)}
ADA = {"name": "ada@x.org", "groups": ["one", "two"], "level": 3, "admin": True, "nothing": None, "deep": {"a": "b"}}


@pytest.mark.parametrize(
    ("users", "allowed"),
    [
        pytest.param({}, "a", id="without sets: the hub's"),
        pytest.param({"u": user_set({"name": "bob"}, "b")}, "a", id="no match: the hub's"),
        pytest.param({"u": user_set({"name": "ada@.*"}, "b", "c")}, "bc", id="picks from all, not only the hub's"),
        pytest.param({"u": {"authentication": {"name": "ada.*"}}}, "abc", id="a set without flavors has all"),
        pytest.param({"u": user_set({"name": "ada.*"})}, "", id="an empty list is none"),
        pytest.param({"u": user_set({"name": "*@x.org"}, "b")}, "b", id="glob"),
        pytest.param({"u": user_set({"name": ["bob", "ada@x.org"]}, "b")}, "b", id="one of a list"),
        pytest.param({"u": user_set({"name": ["ada@xyorg"]}, "b")}, "a", id="another name"),
        pytest.param({"u": user_set({"groups": "two"}, "b")}, "b", id="one value of many"),
        pytest.param({"u": user_set({"groups": ["zero", "t.*"]}, "b")}, "b", id="one of many patterns"),
        pytest.param({"u": user_set({"groups": "one two"}, "b")}, "a", id="values are not joined"),
        pytest.param({"u": user_set({"name": "bob", "groups": "one"}, "b")}, "b", id="one key of many"),
        pytest.param({"u": user_set({"groups": "one", "name": "bob"}, "b")}, "b", id="one key of many, the first"),
        pytest.param({"u": user_set({"level": "3"}, "b")}, "b", id="a number"),
        pytest.param({"u": user_set({"admin": "true"}, "b")}, "b", id="a boolean"),
        pytest.param({"u": user_set({"nothing": ".*"}, "b")}, "a", id="null is no value"),
        pytest.param({"u": user_set({"deep": ".*"}, "b")}, "a", id="an object is no value"),
        pytest.param({"u": user_set({"missing": ".*"}, "b")}, "a", id="a key the user does not have"),
        pytest.param({"u": user_set({"name": "bob"}, "b", negate_authentication=True)}, "b", id="negated, no match"),
        pytest.param({"u": user_set({"name": "ada.*"}, "b", negate_authentication=True)}, "a", id="negated, match"),
        pytest.param(
            {"u": user_set({"name": "bob", "groups": "one"}, "b", negate_authentication=True)},
            "a",
            id="negated, one key matches",
        ),
        pytest.param({"u": {"negate_authentication": True, "flavors": ["b"]}}, "b", id="negated without patterns: all"),
        pytest.param({"u": user_set({"name": ".*"}, "b", forbidden=True)}, "", id="forbidden"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs=["h1"])}, "b", id="for this hub"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs="h[0-9]")}, "b", id="for hubs by pattern"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs=["s"])}, "b", id="for the hubs of a set"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs=["h2"])}, "a", id="for another hub"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs=["special"])}, "a", id="for the hubs of another set"),
        pytest.param({"u": user_set({"name": ".*"}, "b", hubs=[])}, "a", id="for no hub"),
        pytest.param(
            {"u": user_set({"name": ".*"}, "b", weight=1), "v": user_set({"name": ".*"}, "c", weight=2)},
            "c",
            id="the highest weight",
        ),
        pytest.param(
            {"u": user_set({"name": ".*"}, weight=1, forbidden=True), "v": user_set({"name": ".*"}, "c", weight=2)},
            "c",
            id="forbidden weighs as any other",
        ),
    ],
)
def test_the_user_gets(users: JsonDict, allowed: str) -> None:
    assert names(HUBS, users, "h1", ADA) == allowed


@pytest.mark.parametrize("unknown", [None, {}])
def test_without_authentication_it_is_the_hubs(unknown: JsonDict | None) -> None:
    users = {"u": user_set({"name": "x"}, "b", negate_authentication=True)}
    assert names(HUBS, users, "h1", unknown) == "a"


def test_a_hub_set_that_is_outweighed_lends_its_name_to_no_user_set() -> None:
    users = {"u": user_set({"name": ".*"}, "b", hubs=["s"])}
    assert names(HUBS, users, "h1", ADA) == "b"
    assert names(HUBS, users, "h2", ADA) == "a"


OVERRIDING = rules(
    {
        "flavors": FLAVOR_KEYS,
        "hubs": {"s": hub_set("h", "a", flavorsOverride={"a": {"max": 10, "weight": 5}, "b": {"max": 20}})},
        "users": {
            "u": {
                "authentication": {"name": "ada"},
                "flavorsOverride": {"a": {"max": 100, "runtime": {"hours": 1}}, "c": {"maxPerUser": 3}},
            }
        },
    }
)


def test_values_are_the_flavors_then_the_hub_sets_then_the_user_sets() -> None:
    assert resolve(OVERRIDING, "x").values["a"]["max"] == 1
    assert resolve(OVERRIDING, "h").values["a"]["max"] == 10
    mine = resolve(OVERRIDING, "h", {"name": "ada"}).values
    assert mine["a"]["max"] == 100
    assert mine["a"]["weight"] == 5
    assert mine["b"]["max"] == 20
    assert mine["c"]["maxPerUser"] == 3


def test_an_override_replaces_a_run_time_as_a_whole() -> None:
    assert resolve(OVERRIDING, "h", {"name": "ada"}).values["a"]["runtime"] == {"hours": 1}


def test_where_a_file_is_silent_hubs_still_read_max_weight_and_name() -> None:
    assert resolve(OVERRIDING, "x").values["c"] == {"max": -1, "weight": 1, "display_name": "c", "description": ""}


def test_counts_are_reported_as_current() -> None:
    answer = resolve(OVERRIDING, "x", counts={"a": 4, "gone": 3, None: 2}).answer
    assert {name: flavor["current"] for name, flavor in answer.items()} == {"a": 4, "b": 0, "c": 0}


def test_credits_are_resolved_by_the_same_rules() -> None:
    found = rules(
        {
            "credits": {"c": {"cap": 10, "grant_value": 1, "grant_interval": 60, "project": "p"}, "d": {}},
            "hubs": {"s": {"jupyterhub_name": "h*", "credits": ["c"], "creditsOverride": {"c": {"cap": 20}}}},
            "users": {"u": {"authentication": {"name": "mallory"}, "forbidden": True}},
        },
        CREDITS,
    )
    assert resolve(found, "x").answer == {
        "c": {"cap": 10, "grant_value": 1, "grant_interval": 60, "project": "p"},
        "d": {},
    }
    assert resolve(found, "hub").answer == {"c": {"cap": 20, "grant_value": 1, "grant_interval": 60, "project": "p"}}
    forbidden = resolve(found, "hub", {"name": "mallory"})
    assert forbidden.answer == {"cap": 0, "grant_value": 0, "grant_interval": 86400}
    assert forbidden.values == {}


def test_a_resolution_explains_itself() -> None:
    found = rules(
        {
            "flavors": FLAVOR_KEYS,
            "hubs": {
                "s": hub_set("h*", "a", weight=2, flavorsOverride={"a": {"max": 10, "maxPerUser": 2}}),
                "t": hub_set(".*"),
            },
            "users": {"u": user_set({"groups": ["g+x"]}, "a", flavorsOverride={"a": {"max": 11}})},
        }
    )
    user = {"groups": ["g+x"]}
    assert list(explain(resolve(found, "hub", user), found, asks_for_user=True)) == [
        "hubs.s applies (weight 2): jupyterhub_name 'h*' matches 'hub' as a glob",
        "hubs.s outweighs hubs.t",
        "users.u applies (weight 0): authentication.groups 'g+x' matches 'g+x' as it stands",
        "a.max is 10, not 1, because of hubs.s.flavorsOverride",
        "a.maxPerUser is 2, because of hubs.s.flavorsOverride",
        "a.max is 11, not 10, because of users.u.flavorsOverride",
    ]
    assert list(explain(resolve(found, "x"), found, asks_for_user=False)) == [
        "hubs.t applies (weight 0): jupyterhub_name '.*' matches 'x' as a regular expression"
    ]


@pytest.mark.parametrize(
    ("users", "authentication", "sentence"),
    [
        ({}, {"name": "x"}, "no user set is for this user: all flavors"),
        (
            {"u": user_set({"name": "y"}, negate_authentication=True)},
            {"name": "x"},
            "users.u applies (weight 0): it has negate_authentication, and nothing in its authentication matches",
        ),
        (
            {"u": user_set({"name": "x"}, forbidden=True)},
            {"name": "x"},
            "users.u.forbidden: nothing may be used",
        ),
    ],
)
def test_it_explains_what_does_not_apply_too(users: JsonDict, authentication: JsonDict, sentence: str) -> None:
    found = rules({"flavors": FLAVOR_KEYS, "users": users})
    sentences = list(explain(resolve(found, "h", authentication), found, asks_for_user=True))
    assert sentences[0] == "no hub set is for this hub: all flavors"
    assert sentence in sentences


@given(text=st.text(st.sampled_from("ab.-@+"), max_size=6))
def test_every_name_matches_itself(text: str) -> None:
    try:
        assert pattern(text).match(text) is not None
    except ValueError:
        assert "+" in text


@given(text=st.text(st.sampled_from("ab*?[]."), max_size=6), value=st.text(st.sampled_from("ab*."), max_size=4))
def test_a_glob_is_tried_only_where_the_regular_expression_does_not_match(text: str, value: str) -> None:
    try:
        compared = pattern(text)
    except ValueError:
        return
    if compared.match(value) is Kind.GLOB:
        assert compared.regex is None or not compared.regex.fullmatch(value)


# Whole files, as hypothesis invents them: a few hubs, users and flavors, so that sets overlap.

WHOLE_FILES = settings(deadline=None, max_examples=60)

HUB_NAMES = ["h1", "h2", "other"]
USER_NAMES = ["ada", "bob", "eve"]
CHOICES = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)
OVERRIDES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.fixed_dictionaries(
        {},
        optional={
            "max": st.integers(-1, 9),
            "maxPerUser": st.integers(-1, 9),
            "runtime": st.fixed_dictionaries({"hours": st.integers(1, 9)}),
            "resources": st.fixed_dictionaries({"gpus": st.lists(st.integers(0, 3), max_size=2)}),
        },
    ),
)


def sets(**required: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonDict]:
    """Sets whose weights all differ or not, with any choice and overrides."""
    one = st.fixed_dictionaries(
        {**required, "weight": st.integers(-2, 2)}, optional={"flavors": CHOICES, "flavorsOverride": OVERRIDES}
    )
    return st.dictionaries(st.sampled_from(["s1", "s2", "s3", "s4"]), one)


FILES = st.fixed_dictionaries(
    {
        "flavors": st.just(
            {"a": {"max": 1, "resources": {"gpus": [1]}}, "b": {"runtime": {"days": 5}}, "c": {"weight": 3}}
        ),
        "hubs": sets(jupyterhub_name=st.sampled_from(["h.*", "h?", ".*", "h1", ["h2", "other"], []])),
        "users": sets(
            authentication=st.fixed_dictionaries({"name": st.sampled_from(["a.*", "*b", ".*", ["bob", "eve"]])}),
            forbidden=st.sampled_from([False, False, False, True]),
            negate_authentication=st.booleans(),
        ),
    }
)


def answers(found: Rules) -> dict[tuple[str, str | None], JsonDict]:
    """What everybody gets."""
    users: list[str | None] = [None, *USER_NAMES]
    return {
        (hub, user): resolve(found, hub, {"name": user} if user else None, {"a": 1}).answer
        for hub in HUB_NAMES
        for user in users
    }


def spoil(value: Any) -> None:
    """Change whatever can be changed in an answer."""
    if isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value["spoiled"] = True
    elif isinstance(value, list):
        value.append("spoiled")


@WHOLE_FILES
@given(data=FILES, order=st.randoms(use_true_random=False))
def test_no_answer_changes_another(data: JsonDict, order: random.Random) -> None:
    found = rules(data)
    first = deepcopy(answers(found))
    asked = list(first)
    order.shuffle(asked)
    for hub, user in asked:
        again = resolve(found, hub, {"name": user} if user else None, {"a": 1}).answer
        assert again == first[hub, user]
        spoil(again)
    assert answers(found) == first


@WHOLE_FILES
@given(data=FILES, order=st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(data: JsonDict, order: random.Random) -> None:
    shuffled = {}
    for section in ("users", "flavors", "hubs"):
        entries = list(data[section].items())
        order.shuffle(entries)
        shuffled[section] = dict(entries)
    assert answers(rules(data)) == answers(rules(shuffled))


@WHOLE_FILES
@given(data=FILES)
def test_the_highest_weight_wins(data: JsonDict) -> None:
    found = rules(data)
    for hub in HUB_NAMES:
        for user in USER_NAMES:
            resolution = resolve(found, hub, {"name": user})
            for section, match in (("hubs", resolution.hub), ("users", resolution.user)):
                if match is not None:
                    assert match.weight == data[section][match.set_name]["weight"]
                    assert all(data[section][other]["weight"] <= match.weight for other in match.outweighs)
                    assert set(match.outweighs) == matching(data, section, hub, user) - {match.set_name}
                else:
                    assert not matching(data, section, hub, user)


def matching(data: JsonDict, section: str, hub: str, user: str) -> set[str]:
    """The sets that match, each asked on its own."""
    alone = set()
    for name, members in data[section].items():
        found = rules({"flavors": data["flavors"], section: {name: members}})
        resolution = resolve(found, hub, {"name": user})
        if (resolution.hub if section == "hubs" else resolution.user) is not None:
            alone.add(name)
    return alone
