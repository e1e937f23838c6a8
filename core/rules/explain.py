"""A resolution in sentences, for the operator who asks why."""

from __future__ import annotations

from collections.abc import Iterator

from core.rules.patterns import Kind
from core.rules.resolve import Match, Reason, Resolution, Rules

_HOW = {Kind.REGEX: "as a regular expression", Kind.GLOB: "as a glob", Kind.LITERAL: "as it stands"}


def explain(resolution: Resolution, rules: Rules, asks_for_user: bool) -> Iterator[str]:
    """Which sets apply and why, what they outweigh, and which values they changed; a sentence each."""
    everything = f"all {rules.form.key}"
    yield from _set("hubs", resolution.hub, f"no hub set is for this hub: {everything}")
    if asks_for_user:
        instead = "the hub set's" if resolution.hub else everything
        yield from _set("users", resolution.user, f"no user set is for this user: {instead}")
    if resolution.forbidden and resolution.user:
        yield f"users.{resolution.user.set_name}.forbidden: nothing may be used"
    for change in resolution.overrides:
        before = "" if change.before is None else f", not {change.before!r}"
        place = f"{change.where}.{rules.form.override_key}"
        yield f"{change.name}.{change.key} is {change.after!r}{before}, because of {place}"


def _set(section: str, match: Match | None, otherwise: str) -> Iterator[str]:
    if match is None:
        yield otherwise
        return
    name = f"{section}.{match.set_name}"
    yield f"{name} applies (weight {match.weight}): {_because(match.reason)}"
    if match.outweighs:
        yield f"{name} outweighs {', '.join(f'{section}.{other}' for other in match.outweighs)}"


def _because(reason: Reason) -> str:
    if reason.kind is None:
        return f"it has {reason.key}, and nothing in its authentication matches"
    return f"{reason.key} {reason.pattern!r} matches {reason.value!r} {_HOW[reason.kind]}"
