"""``check-config`` says what applies and why, and finds every mistake before a user does."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_config
from handlers import check_config, server

FLAVORS = """\
flavors:
  small: {max: 10, runtime: {hours: 2}}
  large: {max: 2}
hubs:
  everybody: {jupyterhub_name: ".*", flavors: [small]}
  special: {jupyterhub_name: "priv*", weight: 5, flavorsOverride: {small: {max: 18}}}
users:
  locked: {authentication: {name: "*@evil.org"}, forbidden: true}
"""


class Place:
    """The three files of an Outpost."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "outpost_config.py"
        self.flavors = folder / "flavors.yaml"
        self.credits = folder / "credits.yaml"
        self.config.write_text("")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Files that the environment names; only an empty configuration exists."""
    found = Place(tmp_path)
    monkeypatch.setenv("OUTPOST_CONFIG_FILE", str(found.config))
    monkeypatch.setenv("OUTPOST_FLAVORS_PATH", str(found.flavors))
    monkeypatch.setenv("OUTPOST_CREDITS_PATH", str(found.credits))
    return found


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What the command prints, and that it ends with this code."""
    assert server.main(["check-config", *arguments]) == code
    return capsys.readouterr().out


def test_without_mistakes_it_says_what_is_in_force(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.flavors.write_text(FLAVORS)
    out = printed(capsys)
    assert f"configuration: {place.config}" in out
    assert f"flavors: {place.flavors} (small, large; 2 hub sets, 1 user set)" in out
    assert f"credits: there is no {place.credits}" in out
    assert "mistake: " not in out
    assert check_config.problems() == []


def test_it_explains_what_a_hub_gets(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.flavors.write_text(FLAVORS)
    lines = printed(capsys, "--hub", "privileged").splitlines()
    assert lines[lines.index("flavors of the hub 'privileged'") + 1 :] == [
        "  hubs.special applies (weight 5): jupyterhub_name 'priv*' matches 'privileged' as a glob",
        "  hubs.special outweighs hubs.everybody",
        "  small.max is 18, not 10, because of hubs.special.flavorsOverride",
        '  small  max 18, weight 1, display_name "small", runtime {"hours": 2}',
        '  large  max 2, weight 1, display_name "large"',
    ]


def test_it_explains_what_a_user_gets(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.flavors.write_text(FLAVORS)
    place.credits.write_text("credits: {c: {cap: 5}}")
    out = printed(capsys, "--hub", "h", "--user", '{"name": "mallory@evil.org"}')
    assert "users.locked applies (weight 0): authentication.name '*@evil.org' matches 'mallory@evil.org'" in out
    assert "users.locked.forbidden: nothing may be used" in out
    assert "credits of a user of the hub 'h'" in out
    assert "  c  cap 5" in out


def test_it_asks_the_hooks_of_the_configuration(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.config.write_text(
        "async def flavors(hub):\n"
        "    return {hub: 3}\n"
        "async def user_flavors(outpost, hub, authentication):\n"
        "    return authentication['name'] == 'ada' and {'own': {'max': 1}}\n"
        "c.JupyterHubOutpost.flavors = flavors\n"
        "c.JupyterHubOutpost.user_flavors = user_flavors\n"
        "c.JupyterHubOutpost.flavors_undefined_max = 0\n"
        "c.JupyterHubOutpost.global_max_per_user = 4\n"
        "c.JupyterHubOutpost.update_user_authentication = lambda found: {'name': found['name'].lower()}\n"
    )
    out = printed(capsys, "--hub", "h")
    assert "  h           max 3\n" in out
    assert "  _undefined  max 0\n" in out
    assert "  all flavors together: 4 per user (global_max_per_user)" in out
    assert "  own         max 1\n" in printed(capsys, "--hub", "h", "--user", '{"name": "ADA"}')
    assert "user_flavors says no: nothing may be used" in printed(capsys, "--hub", "h", "--user", '{"name": "bob"}')


def test_with_nothing_configured_it_says_so(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing is configured: everything may be used" in printed(capsys, "--hub", "h")


def test_traits_that_a_file_replaces_are_pointed_out(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.config.write_text("c.JupyterHubOutpost.flavors = {'a': 1}\n")
    assert "are not used" not in printed(capsys)
    place.flavors.write_text(FLAVORS)
    assert "flavors, flavors_undefined_max and user_flavors are not used" in printed(capsys)


def test_every_mistake_in_every_file_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.config.write_text("c.JupyterHubOutpost.flavors = {'a': {'max': 'x'}}\n")
    place.flavors.write_text(FLAVORS.replace("max: 2", "maxx: 2").replace("[small]", "[smal]"))
    place.credits.write_text("credits:\n  c: {cap: much}\n")
    out = printed(capsys, "--hub", "h", code=1)
    expected = [
        f"{place.config}: flavors.a.max: must be a whole number, -1 for no limit or 0 for none, not 'x'",
        f"{place.flavors}, line 3: flavors.large.maxx: unknown key; did you mean 'max'?",
        f"{place.flavors}, line 5: hubs.everybody.flavors.0: there is no 'smal' in flavors; did you mean 'small'?",
        f"{place.credits}, line 2: credits.c.cap: must be a number that is not negative, not 'much'",
    ]
    assert [line for line in out.splitlines() if line.startswith("mistake: ")] == [f"mistake: {m}" for m in expected]
    assert check_config.problems() == expected


@pytest.mark.parametrize(
    ("config", "mistake"),
    [
        ("x = [", "line 1: '[' was never closed"),
        ("\n1 / 0", "line 2: ZeroDivisionError"),
        ("c.JupyterHubOutpost.flavors = 5", "flavors"),
        ("c.JupyterHubOutpost.flavors_undefined_max = -3", "flavors_undefined_max: must be a whole number"),
        ("c.JupyterHubOutpost.global_max_per_user = -3", "global_max_per_user: must be a whole number"),
        ("c.JupyterHubOutpost.request_kwargs = {'timeout': 3}", "request_kwargs: got an unexpected keyword argument"),
        ("c.JupyterHubOutpost.request_kwargs = {'headers': {}}", "request_kwargs: got multiple values for keyword"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], config: str, mistake: str
) -> None:
    place.config.write_text(config)
    place.flavors.write_text(FLAVORS)
    out = printed(capsys, code=1)
    assert f"mistake: {place.config}" in out
    assert mistake in out
    assert f"flavors: {place.flavors} (small, large" in out


def test_a_hook_that_fails_is_a_mistake(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.config.write_text("c.JupyterHubOutpost.flavors = lambda hub: {}[hub]\n")
    assert "mistake: flavors: KeyError: 'h'" in printed(capsys, "--hub", "h", code=1)


def test_start_up_runs_the_configuration_file_only_once(place: Place) -> None:
    place.config.write_text("c.JupyterHubOutpost.flavors = {'a': 'x'}\n")
    outpost = load_config(place.config)
    place.config.write_text("raise RuntimeError('run twice')\n")
    (problem,) = check_config.problems(outpost)
    assert problem.startswith(f"{place.config}: flavors.a: must be")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--user", "{}"], "--user: needs --hub too"),
        (["--hub", "h", "--user", "ada"], "is no JSON"),
        (["--hub", "h", "--user", "[1]"], "must be a JSON object"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        check_config.main(arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
