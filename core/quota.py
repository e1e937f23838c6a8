"""May this start be admitted? The limits of one start against what runs already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.errors import QuotaExceeded
from core.model import UNDEFINED_FLAVOR, Usage

NO_LIMIT = -1


@dataclass(frozen=True, slots=True)
class Limits:
    """What applies to one start. -1 is no limit, 0 is none."""

    flavor: str
    """The name under which it is counted; ``_undefined`` without a known flavor."""
    max: int = NO_LIMIT
    """Of this hub's services of the flavor."""
    max_per_user: int = NO_LIMIT
    """Of the user's services of the flavor."""
    global_max_per_user: int = NO_LIMIT
    """Of all the user's services."""
    runtime: timedelta | None = None
    """How long the server may run; None is without end."""
    defined: frozenset[str] = frozenset()
    """The flavors that are counted on their own; all others count as ``_undefined``."""

    @property
    def is_unlimited(self) -> bool:
        """Need nothing be counted?"""
        return self.max == self.max_per_user == self.global_max_per_user == NO_LIMIT


def check(limits: Limits, usage: Usage) -> None:
    """Nothing, when one more service fits. Raises ``QuotaExceeded``, which names the limit and its value."""
    flavor = limits.flavor
    if _is_reached(limits.max, count(flavor, usage.hub, limits.defined)):
        key = "flavors_undefined_max" if flavor == UNDEFINED_FLAVOR else "max"
        raise QuotaExceeded(_hub_sentence(flavor, limits.max), key)
    if _is_reached(limits.max_per_user, count(flavor, usage.user, limits.defined)):
        key = "maxPerUser"
        raise QuotaExceeded(_user_sentence(f"of the flavor '{flavor}'", key, limits.max_per_user), key)
    if _is_reached(limits.global_max_per_user, usage.user_total):
        key = "global_max_per_user"
        raise QuotaExceeded(_user_sentence("in all", key, limits.global_max_per_user), key)


def count(flavor: str, counts: Mapping[str | None, int], defined: frozenset[str]) -> int:
    """How many of ``counts`` are of that flavor; ``_undefined`` is whatever is not ``defined``."""
    if flavor != UNDEFINED_FLAVOR:
        return counts.get(flavor, 0)
    return sum(number for name, number in counts.items() if name not in defined)


def _is_reached(limit: int, number: int) -> bool:
    return limit != NO_LIMIT and number >= limit


def _hub_sentence(flavor: str, limit: int) -> str:
    if flavor == UNDEFINED_FLAVOR:
        if limit == 0:
            return "Servers without a known flavor cannot be started here (flavors_undefined_max: 0)"
        return f"Only {_servers(limit)} without a known flavor may run at once (flavors_undefined_max: {limit})"
    if limit == 0:
        return f"Servers of the flavor '{flavor}' cannot be started at the moment (max: 0)"
    return f"Only {_servers(limit)} of the flavor '{flavor}' may run at once, and they all do (max: {limit})"


def _user_sentence(which: str, key: str, limit: int) -> str:
    if limit == 0:
        return f"You may have no servers {which} ({key}: 0)"
    return f"You may have only {_servers(limit)} {which} at once; stop one first ({key}: {limit})"


def _servers(number: int) -> str:
    return f"{number} server" if number == 1 else f"{number} servers"
