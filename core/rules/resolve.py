"""Who may use what: a pure function of rules, hub, user and counts. One resolver for flavors and credits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from core.model import JsonDict
from core.rules.form import Form, HubSet, UserSet
from core.rules.patterns import Kind, Pattern

S = TypeVar("S", HubSet, UserSet)


@dataclass(frozen=True, slots=True)
class Choice(Generic[S]):
    """A hub set or user set of a file: for whom it is, and what they get."""

    name: str
    meant: S
    names: frozenset[str] | None
    """The flavors or credits of this set; None for all."""
    overrides: Mapping[str, JsonDict]

    @property
    def rank(self) -> tuple[float, str]:
        """Sorts the set that applies first; equal weights by name, so that no order of a file matters."""
        return (-self.meant.weight, self.name)


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules, checked and ready to be asked."""

    form: Form
    definitions: Mapping[str, JsonDict]
    hubs: tuple[Choice[HubSet], ...] = ()
    users: tuple[Choice[UserSet], ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a set is for a hub or user: the pattern that matched, or that none of a negated set did."""

    key: str
    pattern: str = ""
    value: str = ""
    kind: Kind | None = None
    """None: nothing matched, and the set is for those."""


@dataclass(frozen=True, slots=True)
class Match:
    """The set that applies, why, and which others it outweighs."""

    set_name: str
    weight: float
    reason: Reason
    outweighs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """One value that a set changed. ``before`` is None when there was none."""

    name: str
    key: str
    before: Any
    after: Any
    where: str
    """The override's place in the file, as ``hubs.SET``."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a hub or user may use, and how that came about."""

    answer: JsonDict
    """By name; for a user to whom all is forbidden, what the form has for that."""
    forbidden: bool = False
    hub: Match | None = None
    user: Match | None = None
    overrides: tuple[Override, ...] = field(default=())

    @property
    def values(self) -> JsonDict:
        """By name what may be used; nothing when it is forbidden."""
        return {} if self.forbidden else self.answer


def resolve(
    rules: Rules,
    hub: str,
    authentication: JsonDict | None = None,
    counts: Mapping[str | None, int] | None = None,
) -> Resolution:
    """What ``hub``, or its user with that ``authentication``, may use.

    Without an authentication nothing is known of the user, and the answer is the hub's.
    ``counts``, when given, are reported as ``current``. The answer shares nothing with the rules.
    """
    hub_set, hub_match = _best(_matching_hubs(rules.hubs, hub))
    user_set, user_match = None, None
    if authentication:
        hub_set_name = hub_match.set_name if hub_match else None
        user_set, user_match = _best(_matching_users(rules.users, hub, hub_set_name, authentication))
    if user_set is not None and user_set.meant.forbidden:
        return Resolution(deepcopy(rules.form.forbidden), forbidden=True, hub=hub_match, user=user_match)
    names = user_set.names if user_set is not None else hub_set.names if hub_set is not None else None
    sources = [("hubs", hub_set), ("users", user_set)]
    answer: JsonDict = {}
    overridden: list[Override] = []
    for name, definition in rules.definitions.items():
        if names is not None and name not in names:
            continue
        value = dict(definition)
        for section, source in sources:
            if source is not None and name in source.overrides:
                overridden += _override(value, source.overrides[name], name, f"{section}.{source.name}")
        answer[name] = rules.form.defaults(name) | deepcopy(value)
        if counts is not None:
            answer[name]["current"] = counts.get(name, 0)
    return Resolution(answer, hub=hub_match, user=user_match, overrides=tuple(overridden))


def _override(value: JsonDict, override: JsonDict, name: str, where: str) -> Iterator[Override]:
    """A key's value is replaced as a whole: two run times do not add up."""
    for key, after in override.items():
        yield Override(name, key, deepcopy(value.get(key)), deepcopy(after), where)
        value[key] = after


Matched = tuple[Choice[S], Reason]


def _best(matching: Iterable[Matched[S]]) -> tuple[Choice[S] | None, Match | None]:
    ranked = sorted(matching, key=lambda matched: matched[0].rank)
    if not ranked:
        return None, None
    (best, reason), *others = ranked
    outweighed = tuple(choice.name for choice, _ in others)
    return best, Match(best.name, best.meant.weight, reason, outweighed)


def _matching_hubs(choices: Iterable[Choice[HubSet]], hub: str) -> Iterator[Matched[HubSet]]:
    for choice in choices:
        if reason := _first_match(choice.meant.jupyterhub_name, [hub], "jupyterhub_name"):
            yield choice, reason


def _matching_users(
    choices: Iterable[Choice[UserSet]], hub: str, hub_set: str | None, authentication: JsonDict
) -> Iterator[Matched[UserSet]]:
    for choice in choices:
        if _is_for_hub(choice.meant, hub, hub_set) and (reason := _user_reason(choice.meant, authentication)):
            yield choice, reason


def _is_for_hub(users: UserSet, hub: str, hub_set: str | None) -> bool:
    if users.hubs is None:
        return True
    return any(pattern.text == hub_set or pattern.match(hub) for pattern in users.hubs)


def _user_reason(users: UserSet, authentication: JsonDict) -> Reason | None:
    found = None
    for key, patterns in users.authentication.items():
        found = found or _first_match(patterns, _texts(authentication.get(key)), f"authentication.{key}")
    if users.negate_authentication:
        return Reason("negate_authentication") if found is None else None
    return found


def _first_match(patterns: Iterable[Pattern], values: list[str], key: str) -> Reason | None:
    for pattern in patterns:
        for value in values:
            if kind := pattern.match(value):
                return Reason(key, pattern.text, value, kind)
    return None


def _texts(value: Any) -> list[str]:
    """The values to compare: a list's entries or the one value; numbers and booleans as JSON writes them."""
    values = value if isinstance(value, list | tuple) else [value]
    texts = []
    for item in values:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            texts.append(str(item))
    return texts
