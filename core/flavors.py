"""Which flavors and credits a hub or user may use: from the rule files, else from ``outpost_config.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from core.config import JupyterHubOutpost
from core.errors import NotAllowed
from core.flavor_hooks import completed_authentication, hub_flavors, undefined_max, user_flavors
from core.model import UNDEFINED_FLAVOR, JsonDict, Usage
from core.ports import Store
from core.quota import NO_LIMIT, Limits, count
from core.rules.form import flavor_defaults
from core.rules.resolve import Rules, resolve
from core.threads import in_thread

__all__ = ["Flavors", "Limits"]

Counts = Mapping[str | None, int]
RulesOf = Callable[[], Rules | None]


class Flavors:
    """Answers for hubs and for starts. A file goes before what ``outpost_config.py`` says.

    Every method raises ``ConfigError`` when a hook of the configuration fails or returns what cannot be used.
    """

    def __init__(
        self,
        config: Callable[[], JupyterHubOutpost],
        flavor_rules: RulesOf,
        credit_rules: RulesOf,
        store: Store,
    ) -> None:
        """The first three are asked each time: what they answer may change. None is no file."""
        self._config = config
        self._flavor_rules = flavor_rules
        self._credit_rules = credit_rules
        self._store = store

    async def of_hub(self, hub: str) -> JsonDict:
        """A hub's flavors by name, with ``current``: its services of that flavor that are not stopping."""
        if (rules := self._flavor_rules()) is not None:
            return resolve(rules, hub, counts=await self._counts(hub)).answer
        outpost = self._config()
        if not outpost.uses_flavors:
            return {}
        flavors = await hub_flavors(outpost, hub)
        limit = await undefined_max(outpost, hub)
        return _answer(flavors, limit, frozenset(flavors), await self._counts(hub))

    async def names(self, hub: str) -> frozenset[str]:
        """The flavors that are counted on their own there: the file's, else those the configuration has for the hub."""
        if (rules := self._flavor_rules()) is not None:
            return frozenset(rules.definitions)
        outpost = self._config()
        return frozenset(await hub_flavors(outpost, hub)) if outpost.uses_flavors else frozenset()

    async def of_user(self, hub: str, authentication: JsonDict | None) -> JsonDict:
        """The same for one user of the hub; ``current`` still counts the hub's services."""
        outpost = self._config()
        authentication = await completed_authentication(outpost, authentication)
        if (rules := self._flavor_rules()) is not None:
            return resolve(rules, hub, authentication, await self._counts(hub)).answer
        if not outpost.uses_flavors:
            return {}
        mine = await user_flavors(outpost, hub, authentication)
        if mine is None:
            return {}
        limit = await undefined_max(outpost, hub)
        defined = frozenset(mine) | frozenset(await hub_flavors(outpost, hub))
        return _answer(mine, limit, defined, await self._counts(hub))

    async def credits_of_hub(self, hub: str) -> JsonDict:
        """A hub's credits by name; nothing without a file."""
        rules = self._credit_rules()
        return resolve(rules, hub).answer if rules is not None else {}

    async def credits_of_user(self, hub: str, authentication: JsonDict | None) -> JsonDict:
        """The credits of one user of the hub."""
        rules = self._credit_rules()
        if rules is None:
            return {}
        return resolve(rules, hub, await completed_authentication(self._config(), authentication)).answer

    async def limits(self, hub: str, flavor: str | None, authentication: JsonDict | None) -> Limits:
        """What applies to one start. Raises ``NotAllowed`` when the user may not use that flavor."""
        outpost = self._config()
        authentication = await completed_authentication(outpost, authentication)
        per_user: int = outpost.global_max_per_user
        if (rules := self._flavor_rules()) is not None:
            allowed = resolve(rules, hub, authentication).values
            return _limits_of(_named(flavor, allowed), allowed, per_user)
        if not outpost.uses_flavors:
            return Limits(UNDEFINED_FLAVOR, global_max_per_user=per_user)
        mine = await user_flavors(outpost, hub, authentication)
        if mine is None:
            raise NotAllowed("You may not start servers on this system")
        if flavor is not None and flavor in mine:
            return _limits_of(flavor, mine, per_user)
        defined = frozenset(mine) | frozenset(await hub_flavors(outpost, hub))
        if flavor in defined:
            raise NotAllowed(_not_yours(flavor, mine))
        limit = await undefined_max(outpost, hub)
        return Limits(UNDEFINED_FLAVOR, limit, global_max_per_user=per_user, defined=defined)

    async def _counts(self, hub: str) -> Counts:
        usage: Usage = await in_thread(self._store.usage, hub)
        return usage.hub


def _answer(flavors: JsonDict, undefined_limit: int, defined: frozenset[str], counts: Counts) -> JsonDict:
    """As ``GET /flavors`` has it; what is not ``defined`` counts as ``_undefined``."""
    answer = {
        name: flavor_defaults(name) | flavor | {"current": counts.get(name, 0)} for name, flavor in flavors.items()
    }
    answer[UNDEFINED_FLAVOR] = {
        "max": undefined_limit,
        "weight": 1,
        "display_name": "default flavor",
        "description": "",
        "current": count(UNDEFINED_FLAVOR, counts, defined),
    }
    return answer


def _limits_of(name: str, flavors: JsonDict, global_max_per_user: int) -> Limits:
    flavor = flavors[name]
    runtime = flavor.get("runtime")
    return Limits(
        name,
        max=flavor.get("max", NO_LIMIT),
        max_per_user=flavor.get("maxPerUser", NO_LIMIT),
        global_max_per_user=global_max_per_user,
        runtime=timedelta(**runtime) if runtime else None,
    )


def _named(flavor: str | None, allowed: JsonDict) -> str:
    """The flavor of a start where one is mandatory. Raises ``NotAllowed``."""
    if not allowed:
        raise NotAllowed("You may not use any flavor of this system")
    if flavor is None:
        raise NotAllowed(f"Choose a flavor for this server: {_list(allowed)}")
    if flavor not in allowed:
        raise NotAllowed(_not_yours(flavor, allowed))
    return flavor


def _not_yours(flavor: str | None, allowed: Iterable[str]) -> str:
    instead = _list(allowed)
    return f"You may not use the flavor '{flavor}' here" + (f"; choose one of: {instead}" if instead else "")


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
