"""The file form of flavors and credits: what may stand in ``flavors.yaml`` and ``credits.yaml``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from core.model import UNDEFINED_FLAVOR, JsonDict
from core.rules.patterns import BadPattern, Pattern, patterns

LONGEST_RUNTIME = timedelta(days=36500)
"""A longer run time would pass the last date that can be stored."""


def _mistake(text: str, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("rule", "{text}", {"text": text, **context})


def shown(value: object) -> str:
    """A value as an error shows it: short."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _limit(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool) or value < -1:
        raise _mistake(f"must be a whole number, -1 for no limit or 0 for none, not {shown(value)}")
    return value


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise _mistake(f"must be a number, not {shown(value)}")
    return value


def _duration(value: Any) -> Any:
    if not _is_number(value) or value < 0:
        raise _mistake(f"must be a number that is not negative, not {shown(value)}")
    return value


def _patterns(value: Any) -> tuple[Pattern, ...]:
    try:
        return patterns(value)
    except BadPattern as error:
        where = {} if error.index is None else {"index": error.index}
        raise _mistake(str(error), **where) from None


def _chosen(value: Any) -> Any:
    if not isinstance(value, list):
        raise _mistake(f"must be a list ([] for none; without the key it is all of them), not {shown(value)}")
    for index, name in enumerate(value):
        if not isinstance(name, str):
            raise _mistake(f"must be text, not {shown(name)}; put it in quotes", index=index)
    return value


def as_json(value: Any) -> Any:
    """``value``, if hubs can be told it. Raises a pydantic error."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _mistake(f"cannot be told to hubs as JSON: {error}") from None
    return value


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


Limit = Annotated[int, BeforeValidator(_limit), WithJsonSchema({"type": "integer", "minimum": -1})]
Number = Annotated[Any, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Duration = Annotated[Any, BeforeValidator(_duration), WithJsonSchema({"type": "number", "minimum": 0})]
Chosen = Annotated[list[str] | SkipJsonSchema[None], BeforeValidator(_chosen)]
_PATTERNS_SCHEMA = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
Patterns = Annotated[tuple[Pattern, ...], PlainValidator(_patterns), _PATTERNS_SCHEMA]
PatternsOrAll = Annotated[tuple[Pattern, ...] | None, PlainValidator(_patterns), _PATTERNS_SCHEMA]


Resources = Annotated[
    dict[str, Any], AfterValidator(as_json), WithJsonSchema({"type": "object", "additionalProperties": True})
]


class Strict(BaseModel):
    """A key that nobody knows is a mistake, not a comment."""

    # Built when a file is read, which most starts never do.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Runtime(Strict):
    """How long a server may run: the units of ``datetime.timedelta``, added up."""

    weeks: Duration = 0
    days: Duration = 0
    hours: Duration = 0
    minutes: Duration = 0
    seconds: Duration = 0
    milliseconds: Duration = 0
    microseconds: Duration = 0

    @model_validator(mode="after")
    def _possible(self) -> Runtime:
        try:
            total = timedelta(**self.model_dump(exclude_unset=True))
        except OverflowError:
            total = timedelta.max
        if not timedelta(0) < total <= LONGEST_RUNTIME:
            raise _mistake(f"must be longer than nothing and at most {LONGEST_RUNTIME.days} days")
        return self


class FlavorKeys(Strict):
    """What a flavor says, and what an override of it may say."""

    max: Limit = Field(-1, description="Servers of this flavor for one hub; -1 is no limit, 0 none.")
    max_per_user: Limit = Field(-1, alias="maxPerUser", description="The same for one user of a hub.")
    weight: Number = Field(1, description="Where hubs show it: the highest first.")
    display_name: str = Field("", description="What users read; the flavor's name by default.")
    description: str = Field("", description="What users read below it.")
    runtime: Runtime = Field(
        default_factory=Runtime.model_construct, description="Afterwards the server is stopped; none is no end."
    )
    resources: Resources = Field({}, description="For hubs and hooks; Outpost only passes it on.")


class CreditKeys(BaseModel):
    """What a credit says. Hubs do the accounts, so other keys are passed on to them."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, defer_build=True)

    cap: Duration = Field(0, description="The most a user can have.")
    grant_value: Duration = Field(0, description="What is added at each grant.")
    grant_interval: Duration = Field(0, description="Seconds between two grants.")

    @model_validator(mode="after")
    def _can_be_told(self) -> CreditKeys:
        as_json(self.__pydantic_extra__)
        return self


class HubSet(Strict):
    """For which hubs a choice is."""

    jupyterhub_name: Patterns = Field(description="Names of hubs, or patterns for them.")
    weight: Number = Field(0, description="Of the sets that match, the highest applies.")


class UserSet(Strict):
    """For which users a choice is."""

    hubs: PatternsOrAll = Field(
        None, description="Hubs, or hub sets, whose users are meant; those of all hubs by default."
    )
    authentication: dict[str, Patterns] = Field(
        {}, description="By key of the user's authentication: what is looked for. One match is enough."
    )
    negate_authentication: bool = Field(False, description="For those who do not match.")
    forbidden: bool = Field(False, description="They may use nothing.")
    weight: Number = Field(0, description="Of the sets that match, the highest applies.")

    @model_validator(mode="after")
    def _is_for_somebody(self) -> UserSet:
        if not self.authentication and not self.negate_authentication:
            raise _mistake("is for nobody: add authentication: {KEY: pattern}")
        return self


class FlavorChoice(Strict):
    """Which flavors a set has."""

    chosen: Chosen = Field(None, alias="flavors", description="All by default; [] is none.")
    overrides: dict[str, FlavorKeys] = Field({}, alias="flavorsOverride", description="By name of the flavor.")


class CreditChoice(Strict):
    """Which credits a set has."""

    chosen: Chosen = Field(None, alias="credits", description="All by default; [] is none.")
    overrides: dict[str, CreditKeys] = Field({}, alias="creditsOverride", description="By name of the credit.")


class FlavorHubSet(HubSet, FlavorChoice):
    """The flavors of some hubs."""


class FlavorUserSet(UserSet, FlavorChoice):
    """The flavors of some users."""


class CreditHubSet(HubSet, CreditChoice):
    """The credits of some hubs."""


class CreditUserSet(UserSet, CreditChoice):
    """The credits of some users."""


class FlavorFile(Strict):
    """Which flavors there are, and which hubs and users may use them."""

    definitions: dict[str, FlavorKeys] = Field(alias="flavors")
    hubs: Annotated[dict[str, FlavorHubSet], BeforeValidator(_or_empty)] = {}
    users: Annotated[dict[str, FlavorUserSet], BeforeValidator(_or_empty)] = {}


class CreditFile(Strict):
    """Which credits there are, and which hubs and users get them."""

    definitions: dict[str, CreditKeys] = Field(alias="credits")
    hubs: Annotated[dict[str, CreditHubSet], BeforeValidator(_or_empty)] = {}
    users: Annotated[dict[str, CreditUserSet], BeforeValidator(_or_empty)] = {}


@dataclass(frozen=True, slots=True)
class Form:
    """What tells a flavors file from a credits file; all else is the same."""

    key: str
    model: type[FlavorFile] | type[CreditFile]
    keys: type[FlavorKeys] | type[CreditKeys]
    forbidden: JsonDict
    """The answer for a user to whom everything is forbidden."""
    defaults: Callable[[str], JsonDict]
    """What an answer says of a name where the file is silent."""
    reserved: frozenset[str] = frozenset()

    @property
    def override_key(self) -> str:
        """The key of a set's overrides."""
        return f"{self.key}Override"


def flavor_defaults(name: str) -> JsonDict:
    """What hubs read of a flavor whose definition is silent."""
    return {"max": -1, "weight": 1, "display_name": name, "description": ""}


def _no_defaults(_: str) -> JsonDict:
    return {}


FLAVORS = Form("flavors", FlavorFile, FlavorKeys, {}, flavor_defaults, frozenset({UNDEFINED_FLAVOR}))
CREDITS = Form("credits", CreditFile, CreditKeys, {"cap": 0, "grant_value": 0, "grant_interval": 86400}, _no_defaults)
