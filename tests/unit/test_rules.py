"""Rule files: every mistake is found with its line, and a broken change never takes the good rules away."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError
from core.rules import CREDITS, FLAVORS, BrokenRules, Form, RuleFile
from core.rules.__main__ import schema
from core.rules.read import rules_of

DOCS = Path(__file__).parents[2] / "docs"
GOOD = "flavors:\n  small: {max: 1}\n"


def mistakes(text: str, form: Form = FLAVORS) -> list[str]:
    """What is wrong with a file, as ``line key: text``."""
    with pytest.raises(BrokenRules) as caught:
        rules_of(text, form, "f.yaml")
    assert all(f"f.yaml, line {m.line}: " in str(caught.value) for m in caught.value.mistakes)
    return [f"{m.line} {m.key}: {m.text}" for m in caught.value.mistakes]


SETS = "flavors:\n  small: {max: 1}\nhubs:\n  a:\n    jupyterhub_name: x\n"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("flavors:\n  a:\n    maxx: 1", "3 flavors.a.maxx: unknown key; did you mean 'max'?"),
        ("flavors:\n  a:\n    maxperuser: 1", "3 flavors.a.maxperuser: unknown key; did you mean 'maxPerUser'?"),
        ("flavors: {}\nhub: {}", "2 hub: unknown key; did you mean 'hubs'?"),
        ("flavors: {}\nsome: {}", "2 some: unknown key; known are flavors, hubs, users"),
        (SETS + "    wait: 1", "6 hubs.a.wait: unknown key; did you mean 'weight'?"),
        ("flavors:\n  a:\n    max: ten", "3 flavors.a.max: must be a whole number, -1 for no limit or 0 for none"),
        ("flavors:\n  a:\n    max: 1.5", "3 flavors.a.max: must be a whole number"),
        ("flavors:\n  a:\n    max: yes", "3 flavors.a.max: must be a whole number"),
        ("flavors:\n  a:\n    max: -2", "3 flavors.a.max: must be a whole number"),
        ("flavors:\n  a:\n    maxPerUser: '3'", "3 flavors.a.maxPerUser: must be a whole number"),
        ("flavors:\n  a:\n    weight: high", "3 flavors.a.weight: must be a number, not 'high'"),
        ("flavors:\n  a:\n    weight: .nan", "3 flavors.a.weight: must be a number, not nan"),
        ("flavors:\n  a:\n    display_name: 2024-01-01", "3 flavors.a.display_name: must be text (in quotes"),
        ("flavors:\n  a: 5", "2 flavors.a: must be a mapping of keys, not 5"),
        ("flavors:\n  5: {max: 1}", "2 flavors.5: must be text"),
        ("flavors:\n  _undefined: {max: 1}", "2 flavors._undefined: is reserved"),
        (
            "flavors:\n  a:\n    runtime: {fortnights: 1}",
            "3 flavors.a.runtime.fortnights: unknown key; known are weeks",
        ),
        ("flavors:\n  a:\n    runtime: {day: 1}", "3 flavors.a.runtime.day: unknown key; did you mean 'days'?"),
        ("flavors:\n  a:\n    runtime: {days: -1}", "3 flavors.a.runtime.days: must be a number that is not negative"),
        ("flavors:\n  a:\n    runtime: {days: 0}", "3 flavors.a.runtime: must be longer than nothing"),
        ("flavors:\n  a:\n    runtime: {days: 1e300}", "3 flavors.a.runtime.days: must be a number"),
        ("flavors:\n  a:\n    runtime: {days: 36501}", "3 flavors.a.runtime: must be longer than nothing and at most"),
        ("flavors:\n  a:\n    runtime: 5", "3 flavors.a.runtime: must be a mapping of keys, not 5"),
        ("flavors:\n  a:\n    runtime:", "3 flavors.a.runtime: must be a mapping of keys, not None"),
        ("flavors:\n  a:\n    resources: {x: .nan}", "3 flavors.a.resources: cannot be told to hubs as JSON"),
        ("flavors:\n  a: {max: 1}\n  a: {max: 2}", "3 flavors.a: stands here twice; keep one"),
        ("flavors:\n  a:\n    max: 1\n    max: 2", "4 flavors.a.max: stands here twice; keep one"),
        ("hubs: {}", "1 flavors: is missing"),
        ("flavors:", "1 flavors: must be a mapping of names, not None"),
        ("- flavors", "1 : must be a mapping of keys, not ['flavors']"),
        (SETS + "    flavors: [small, tiny]", "6 hubs.a.flavors.1: there is no 'tiny' in flavors"),
        (SETS + "    flavors: [smal]", "6 hubs.a.flavors.0: there is no 'smal' in flavors; did you mean 'small'?"),
        (SETS + "    flavors: small", "6 hubs.a.flavors: must be a list ([] for none"),
        (SETS + "    flavors:", "6 hubs.a.flavors: must be a list ([] for none"),
        (SETS + "    flavors: [5]", "6 hubs.a.flavors.0: must be text, not 5"),
        (SETS + "    flavorsOverride:\n      tiny: {}", "7 hubs.a.flavorsOverride.tiny: there is no 'tiny' in flavors"),
        (SETS + "    flavorsOverride:\n      small: {maxx: 1}", "7 hubs.a.flavorsOverride.small.maxx: unknown key"),
        (SETS + "    creditsOverride: {}", "6 hubs.a.creditsOverride: unknown key; did you mean 'flavorsOverride'?"),
        (SETS + "  b: {weight: 1}", "6 hubs.b.jupyterhub_name: is missing"),
        (SETS + "  b: {jupyterhub_name: 5}", "6 hubs.b.jupyterhub_name: must be a pattern or a list of them, not 5"),
        (SETS + "  b: {jupyterhub_name: [x, 5]}", "6 hubs.b.jupyterhub_name.1: must be text, not 5"),
        (SETS + "  b: {jupyterhub_name: '(x'}", "6 hubs.b.jupyterhub_name: '(x' is no regular expression (missing )"),
        (SETS + "  b: {jupyterhub_name: [x, 'y[']}", "6 hubs.b.jupyterhub_name.1: 'y[' is no regular expression"),
        (SETS + "  b: {jupyterhub_name: 'a\\'}", "6 hubs.b.jupyterhub_name: 'a\\\\' is no regular expression"),
        (SETS + "users:\n  b:", "7 users.b: must be a mapping of keys, not None"),
        (SETS + "users:\n  b: {hubs: [a]}", "7 users.b: is for nobody: add authentication"),
        (SETS + "users:\n  b: {hubs: [c], authentication: {n: x}}", "7 users.b.hubs.0: there is no hub set 'c'"),
        (SETS + "users:\n  b: {authentication: x}", "7 users.b.authentication: must be a mapping of names, not 'x'"),
        (
            SETS + "users:\n  b: {authentication: {n: '*('}}",
            "7 users.b.authentication.n: '*(' is no regular expression",
        ),
        (
            SETS + "users:\n  b: {forbidden: 1, authentication: {n: x}}",
            "7 users.b.forbidden: must be true or false, not 1",
        ),
        ("flavors: [", "1 : is no YAML: "),
        ("flavors: {}\n---\nhubs: {}", "2 : is no YAML: "),
        ("flavors: !!python/name:os.system {}", "1 : is no YAML: could not determine a constructor"),
        ("flavors: 2024-99-99", "1 : is no usable YAML: "),
        ("? [a]\n: b", "1 : is no YAML: found unhashable key"),
        ("[" * 5000, "1 : is no usable YAML: "),
        ("flavors: &a {x: *a}", "1 flavors.x.x: unknown key"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_key(text: str, mistake: str) -> None:
    found = mistakes(text)
    assert any(m.startswith(mistake) for m in found), found
    assert len(found) == 1


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "flavors:\n  a: {max: x}\n  b: {maxx: 1}\nhubs:\n  c: {jupyterhub_name: '(', flavors: [d]}\n"
    assert [m.split(":")[0] for m in mistakes(text)] == [
        "2 flavors.a.max",
        "3 flavors.b.maxx",
        "5 hubs.c.flavors.0",
        "5 hubs.c.jupyterhub_name",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "flavors: {a: {max: 0, maxPerUser: -1, weight: 1.5, runtime: {hours: 1.5}, resources: {gpu: [1, null]}}}",
        "flavors: {a: {}}\nhubs:\nusers:",
        "flavors: {a: {}}\nhubs: {s: {jupyterhub_name: '*.example.org'}}",
        "flavors: {a: {}}\nhubs: {s: {jupyterhub_name: ['*', 'x.y', '[ab]?']}}",
        "flavors: {a: {}}\nhubs: {s: {jupyterhub_name: x}}\nusers: {u: {hubs: [x, 'y*'], authentication: {n: [z]}}}",
        "flavors: {a: {}}\nusers: {u: {hubs: [x], negate_authentication: true}}",
        "flavors:\n  a: &a {max: 1}\n  b: {<<: *a, max: 2}",
        "flavors: {}",
    ],
)
def test_what_is_right_is_no_mistake(text: str) -> None:
    assert rules_of(text, FLAVORS, "f.yaml") is not None


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "---\n"])
def test_a_file_with_nothing_in_it_is_as_no_file(text: str) -> None:
    assert rules_of(text, FLAVORS, "f.yaml") is None


def test_credits_have_the_same_form_with_their_own_keys() -> None:
    text = "credits:\n  c: {cap: 5, project: x}\nhubs:\n  h:\n    jupyterhub_name: x\n"
    rules = rules_of(text + "    credits: [c]\n    creditsOverride: {c: {cap: 7}}", CREDITS, "c.yaml")
    assert rules is not None
    assert rules.definitions == {"c": {"cap": 5, "project": "x"}}
    assert mistakes(text + "    flavorsOverride: {}", CREDITS)[0].startswith("6 hubs.h.flavorsOverride: unknown key")
    assert mistakes("credits:\n  c: {cap: much}", CREDITS)[0].startswith("2 credits.c.cap: must be a number")
    assert mistakes("credits:\n  c: {since: 2024-01-01}", CREDITS)[0].startswith("2 credits.c: cannot be told to hubs")


@settings(deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda b: b.decode("latin-1")))
def test_no_text_raises_anything_but_mistakes(text: str) -> None:
    for form in (FLAVORS, CREDITS):
        with suppress(BrokenRules):
            rules_of(text, form, "f.yaml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["max", "runtime", "flavors", "hubs", "users", "a", "authentication"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({"flavors": JSON}, optional={"hubs": JSON, "users": JSON}))
def test_no_shape_raises_anything_but_mistakes(data: object) -> None:
    with suppress(BrokenRules):
        rules_of(yaml.safe_dump(data), FLAVORS, "f.yaml")


@pytest.mark.parametrize("form", [FLAVORS, CREDITS], ids=lambda form: form.key)
def test_the_schema_in_docs_is_that_of_the_models(form: Form) -> None:
    assert (DOCS / f"{form.key}.schema.json").read_text() == schema(form), (
        f"run: python -m core.rules {form.key} > docs/{form.key}.schema.json"
    )


@pytest.mark.parametrize("form", [FLAVORS, CREDITS], ids=lambda form: form.key)
def test_the_schema_takes_the_example_and_refuses_a_typo(form: Form) -> None:
    checker = jsonschema.Draft202012Validator(json.loads(schema(form)))
    checker.check_schema(checker.schema)
    example = yaml.safe_load((DOCS / "examples" / f"{form.key}.yaml").read_text())
    checker.validate(example)
    example["hubs"]["institutes"]["wieght"] = 1
    assert not checker.is_valid(example)


@pytest.mark.parametrize(
    "flavor",
    [{"max": "x"}, {"max": -2}, {"maxx": 1}, {"runtime": {"years": 1}}, {"runtime": {"days": -1}}, {"weight": "x"}, 5],
)
def test_the_schema_refuses_what_the_models_refuse(flavor: object) -> None:
    checker = jsonschema.Draft202012Validator(json.loads(schema(FLAVORS)))
    assert not checker.is_valid({"flavors": {"a": flavor}})
    assert mistakes(yaml.safe_dump({"flavors": {"a": flavor}}))


def write(path: Path, text: str, second: int) -> None:
    """Write a file that was last changed at that second."""
    path.write_text(text)
    os.utime(path, (second, second))


def test_a_changed_file_comes_into_force(tmp_path: Path) -> None:
    path = tmp_path / "flavors.yaml"
    write(path, GOOD, 1)
    file = RuleFile(path)
    before = file()
    assert file() is before
    write(path, GOOD.replace("1", "2"), 2)
    after = file()
    assert after is not None
    assert after.definitions == {"small": {"max": 2}}
    assert file.problem is None


def test_a_broken_change_keeps_the_last_good_rules_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "flavors.yaml"
    write(path, GOOD, 1)
    file = RuleFile(path)
    good = file()
    write(path, GOOD.replace("max", "maxx"), 2)
    assert "line 2: flavors.small.maxx: unknown key" in (file.problem or "")
    assert file() is good
    write(path, "flavors: [", 3)
    assert file() is good
    assert "is no YAML" in (file.problem or "")
    write(path, GOOD, 4)
    assert file.problem is None


def test_a_change_that_cannot_be_read_keeps_the_last_good_rules(tmp_path: Path) -> None:
    path = tmp_path / "flavors.yaml"
    write(path, GOOD, 1)
    file = RuleFile(path)
    good = file()
    path.write_bytes(b"flavors: \xff")
    os.utime(path, (2, 2))
    assert file() is good
    assert "cannot be read: it is not UTF-8 text" in (file.problem or "")
    path.unlink()
    path.mkdir()
    assert file() is good
    assert "cannot be read: Is a directory" in (file.problem or "")


def test_a_file_that_appears_or_goes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "flavors.yaml"
    file = RuleFile(path)
    assert file() is None
    write(path, GOOD, 1)
    assert file() is not None
    path.unlink()
    assert file() is None
    assert file.problem is None


def test_a_file_that_is_broken_at_first_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "credits.yaml"
    write(path, "credits: {a: {cap: x}}", 1)
    with pytest.raises(ConfigError, match=r"credits\.yaml, line 1: credits\.a\.cap: must be"):
        RuleFile(path, CREDITS)
