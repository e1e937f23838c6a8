"""Flavors as ``outpost_config.py`` has them: values, functions and coroutine functions, checked."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from pydantic import ConfigDict, ValidationError, model_validator

from core.config import JupyterHubOutpost
from core.errors import ConfigError, OutpostError
from core.hooks import resolve
from core.model import UNDEFINED_FLAVOR, JsonDict
from core.rules.form import FlavorKeys, as_json, shown
from core.rules.wording import told

_NOT_A_NUMBER = "must be a whole number, -1 for no limit or 0 for none"


class _HookFlavor(FlavorKeys):
    """In Python an operator's own keys are passed on to hubs."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @model_validator(mode="after")
    def _can_be_told(self) -> _HookFlavor:
        as_json(self.__pydantic_extra__)
        return self


async def hub_flavors(outpost: JupyterHubOutpost, hub: str) -> JsonDict:
    """``flavors`` for that hub, by name. Raises ``ConfigError`` that names what is wrong."""
    return checked_flavors("flavors", await _ask("flavors", outpost.flavors, hub))


async def undefined_max(outpost: JupyterHubOutpost, hub: str) -> int:
    """``flavors_undefined_max`` for that hub; -1 is no limit. Raises ``ConfigError``."""
    return checked_limit(
        "flavors_undefined_max", await _ask("flavors_undefined_max", outpost.flavors_undefined_max, hub)
    )


async def user_flavors(outpost: JupyterHubOutpost, hub: str, authentication: JsonDict | None) -> JsonDict | None:
    """The flavors of one user by name; None when nothing is allowed. Raises ``ConfigError``.

    The hook is asked whoever the user is: with an empty authentication when the hub sends none.
    """
    if outpost.user_flavors is None:
        return await hub_flavors(outpost, hub)
    outpost.get_flavors = partial(hub_flavors, outpost)
    answer = await _ask("user_flavors", outpost.user_flavors, outpost, hub, authentication or {})
    if answer is True:
        return await hub_flavors(outpost, hub)
    if answer is False:
        return None
    if not isinstance(answer, Mapping):
        raise ConfigError(f"user_flavors: must return True, False or a dict of flavors, not {shown(answer)}")
    return checked_flavors("user_flavors", answer)


async def completed_authentication(outpost: JupyterHubOutpost, authentication: JsonDict | None) -> JsonDict | None:
    """What ``update_user_authentication`` makes of it. Raises ``ConfigError``."""
    hook = outpost.update_user_authentication
    if authentication is None or hook is None:
        return authentication
    answer = await _ask("update_user_authentication", hook, deepcopy(authentication))
    if not isinstance(answer, dict):
        kind = type(answer).__name__  # the value may hold an access token
        raise ConfigError(f"update_user_authentication: must return a dict, not {kind}")
    return answer


def checked_flavors(trait: str, value: Any) -> JsonDict:
    """A copy of a dict of flavors, with ``{"max": n}`` for a bare n. Raises ``ConfigError``."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{trait}: must be a dict of flavors, not {shown(value)}")
    return {name: _checked_flavor(trait, name, flavor) for name, flavor in value.items()}


def checked_limit(trait: str, value: object) -> int:
    """A limit that can be used. Raises ``ConfigError``."""
    if not isinstance(value, int) or not _is_limit(value):
        raise ConfigError(f"{trait}: {_NOT_A_NUMBER}, not {shown(value)}")
    return value


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= -1


def _checked_flavor(trait: str, name: Any, flavor: Any) -> JsonDict:
    if not isinstance(name, str):
        raise ConfigError(f"{trait}: the name of a flavor must be a string, not {shown(name)}")
    if name == UNDEFINED_FLAVOR:
        raise ConfigError(f"{trait}: the name {name!r} is reserved; use flavors_undefined_max")
    if _is_limit(flavor):
        return {"max": flavor}
    if not isinstance(flavor, Mapping):
        raise ConfigError(f"{trait}.{name}: must be a dict or the flavor's max, {_NOT_A_NUMBER}; not {shown(flavor)}")
    try:
        _HookFlavor.model_validate(dict(flavor))
    except ValidationError as error:
        path, text = told(error.errors(include_url=False)[0], _HookFlavor)
        raise ConfigError(f"{'.'.join([trait, name, *map(str, path)])}: {text}") from None
    return deepcopy(dict(flavor))


async def _ask(trait: str, value: Any, *args: Any) -> Any:
    try:
        return await resolve(value, *args)
    except OutpostError:
        raise
    except Exception as error:  # whatever the operator's code raises
        raise ConfigError(f"{trait}: {type(error).__name__}: {error}") from error
