"""``python -m handlers.server check-config``: every mistake with its line, and who may use what, and why."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.config import JupyterHubOutpost, load_config
from core.errors import ConfigError
from core.flavor_hooks import (
    checked_flavors,
    checked_limit,
    completed_authentication,
    hub_flavors,
    undefined_max,
    user_flavors,
)
from core.model import UNDEFINED_FLAVOR, JsonDict
from core.rules import CREDITS, FLAVORS, BrokenRules, Form, Resolution, Rules, resolve
from core.rules.explain import explain
from core.rules.read import read
from infra.hub_client import checked_options
from infra.settings import Settings, read_settings


@dataclass
class _Found:
    """What the environment leads to, as far as it can be used."""

    problems: list[str] = field(default_factory=list)
    settings: Settings | None = None
    outpost: JupyterHubOutpost | None = None
    rules: dict[str, Rules | None] = field(default_factory=dict)


def problems(outpost: JupyterHubOutpost | None = None) -> list[str]:
    """Every mistake in the configuration and the rule files, one sentence each.

    With ``outpost`` the configuration file is not run again.
    """
    return _find(outpost).problems


def main(argv: list[str]) -> int:
    """Print what applies and why, and each mistake. 1 when there are any, else 0."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.user is not None and arguments.hub is None:
        parser.error("--user: needs --hub too, since users are known by hub")
    found = _find(None)
    lines = [*_overview(found)]
    if arguments.hub is not None and found.outpost is not None:
        try:
            lines += asyncio.run(_what_applies(found, found.outpost, arguments.hub, arguments.user))
        except ConfigError as error:
            found.problems.append(str(error))
    lines += ["", *(f"mistake: {problem}" for problem in found.problems)] if found.problems else []
    print("\n".join(lines))  # noqa: T201  # this is what it is for
    return 1 if found.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m handlers.server check-config", description=__doc__)
    parser.add_argument("--hub", metavar="NAME", help="show what this hub may use, and why")
    parser.add_argument(
        "--user",
        metavar="JSON",
        type=_authentication,
        help='show it for a user of the hub with this authentication, as in \'{"name": "ada"}\'',
    )
    return parser


def _authentication(text: str) -> JsonDict:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('must be a JSON object, as in \'{"name": "ada"}\'')
    return value


def _find(outpost: JupyterHubOutpost | None) -> _Found:
    found = _Found(outpost=outpost)
    try:
        settings = found.settings = read_settings()
        if outpost is None:
            outpost = found.outpost = load_config(settings.config_path)
    except ConfigError as error:
        found.problems.append(str(error))
    if outpost is not None:
        where = found.settings and found.settings.config_path
        found.problems += [f"{where or 'configuration'}: {problem}" for problem in _static_problems(outpost)]
    if found.settings is not None:
        for form, path in _rule_files(found.settings):
            try:
                found.rules[form.key] = read(path, form)
            except BrokenRules as error:
                found.problems += [str(mistake) for mistake in error.mistakes]
    return found


def _rule_files(settings: Settings) -> list[tuple[Form, Path]]:
    return [(FLAVORS, settings.flavors_path), (CREDITS, settings.credits_path)]


def _static_problems(outpost: JupyterHubOutpost) -> Iterator[str]:
    """What can be said of the traits without asking a hook, for which no hub is known yet."""
    checks: list[Callable[[], object]] = [
        lambda: callable(outpost.flavors) or checked_flavors("flavors", outpost.flavors),
        lambda: (
            callable(outpost.flavors_undefined_max)
            or checked_limit("flavors_undefined_max", outpost.flavors_undefined_max)
        ),
        lambda: checked_limit("global_max_per_user", outpost.global_max_per_user),
        lambda: callable(outpost.request_kwargs) or checked_options(outpost.request_kwargs),
    ]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield str(error)


def _overview(found: _Found) -> Iterator[str]:
    """Which files there are, and what is in them."""
    if found.settings is None:
        return
    yield f"configuration: {found.settings.config_path or 'no file, all defaults'}"
    for form, path in _rule_files(found.settings):
        if form.key not in found.rules:
            yield f"{form.key}: {path} cannot be used"
        elif (rules := found.rules[form.key]) is None:
            yield f"{form.key}: there is no {path}, or nothing is in it"
        else:
            sets = f"{_number(len(rules.hubs), 'hub set')}, {_number(len(rules.users), 'user set')}"
            yield f"{form.key}: {path} ({', '.join(rules.definitions) or 'none'}; {sets})"
    if found.rules.get("flavors") and found.outpost is not None and found.outpost.uses_flavors:
        yield "note: flavors, flavors_undefined_max and user_flavors are not used, since the flavors file exists"


async def _what_applies(
    found: _Found, outpost: JupyterHubOutpost, hub: str, authentication: JsonDict | None
) -> list[str]:
    authentication = await completed_authentication(outpost, authentication)
    whose = f"the hub {hub!r}" if authentication is None else f"a user of the hub {hub!r}"
    lines = ["", f"flavors of {whose}"]
    rules = found.rules.get("flavors")
    if rules is not None:
        lines += _resolved(rules, hub, authentication)
    elif "flavors" in found.rules:
        lines += await _configured(outpost, hub, authentication)
    if outpost.global_max_per_user != -1:
        lines.append(f"  all flavors together: {outpost.global_max_per_user} per user (global_max_per_user)")
    rules = found.rules.get("credits")
    if rules is not None:
        lines += ["", f"credits of {whose}", *_resolved(rules, hub, authentication)]
    return lines


def _resolved(rules: Rules, hub: str, authentication: JsonDict | None) -> Iterator[str]:
    resolution: Resolution = resolve(rules, hub, authentication)
    for sentence in explain(resolution, rules, asks_for_user=authentication is not None):
        yield f"  {sentence}"
    yield from _table(resolution.values)


async def _configured(outpost: JupyterHubOutpost, hub: str, authentication: JsonDict | None) -> list[str]:
    if not outpost.uses_flavors:
        return ["  nothing is configured: everything may be used"]
    by_user = authentication is not None and outpost.user_flavors is not None
    flavors = await (user_flavors(outpost, hub, authentication) if by_user else hub_flavors(outpost, hub))
    if flavors is None:
        return ["  user_flavors says no: nothing may be used"]
    source = "user_flavors" if by_user else "flavors"
    undefined = {UNDEFINED_FLAVOR: {"max": await undefined_max(outpost, hub)}}
    return [f"  as {source} and flavors_undefined_max of the configuration say", *_table(flavors | undefined)]


def _table(values: JsonDict) -> Iterator[str]:
    """A line for each flavor or credit, with the values that it has."""
    if not values:
        yield "  none"
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        yield f"  {name:<{width}}  {', '.join(f'{key} {_shown(item)}' for key, item in value.items() if item != '')}"


def _number(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
