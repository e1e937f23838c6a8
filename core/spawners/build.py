"""A Spawner out of a row: configured, attached to its hub and user, ready for one operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from traitlets import TraitError, Undefined
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from core.config import JupyterHubOutpost
from core.errors import BadTrait
from core.logs import service_logger
from core.model import Body, Inputs, JsonDict, Service, Status
from core.spawners.adapter import NOBODYS, StatelessSpawner, stateless
from core.spawners.resolve import spawner_class

_BEGINNING = datetime.fromtimestamp(0, UTC)
_NOBODYS = Service(
    id=0,
    identity=NOBODYS,
    user_id="0",
    flavor=None,
    status=Status.PENDING,
    version=0,
    start_date=_BEGINNING,
    last_update=_BEGINNING,
    body=Body(env={"JUPYTERHUB_USER": "outpost"}),
    inputs=Inputs(),
)


@asynccontextmanager
async def spawner_of(service: Service, outpost: JupyterHubOutpost) -> AsyncIterator[StatelessSpawner]:
    """The service's Spawner with its stored state, closed at the end.

    Raises ``BadTrait`` when a value of ``misc`` or of the configuration does not fit.
    """
    spawner = build(service, outpost)
    try:
        yield spawner
    finally:
        await spawner.close()


@asynccontextmanager
async def listing_spawner(outpost: JupyterHubOutpost) -> AsyncIterator[StatelessSpawner | None]:
    """A Spawner that is nobody's, to ask for all servers; None when its kind cannot tell them."""
    if not stateless(spawner_class(outpost.spawner_class)).lists_own:
        yield None
        return
    async with spawner_of(_NOBODYS, outpost) as spawner:
        yield spawner


def build(service: Service, outpost: JupyterHubOutpost) -> StatelessSpawner:
    """A new Spawner object; ``misc`` goes before the configuration."""
    from core.spawners.remote import constructor_arguments  # JupyterHub: only where a Spawner is driven

    made: Any = stateless(spawner_class(outpost.spawner_class))
    log = service_logger(str(service.identity))
    overrides = _overrides(made, service.body.misc, outpost.config, log)
    arguments: dict[str, Any] = constructor_arguments(service) | overrides
    try:
        spawner: StatelessSpawner = made(config=outpost.config, service_identity=service.identity, **arguments)
    except TraitError as error:
        raise BadTrait(str(error)) from None
    spawner.log = log
    spawner.attach(service)
    spawner.restore_state(service.state)
    return spawner


def _overrides(made: Any, misc: JsonDict, config: Config, log: Any) -> JsonDict:
    """The part of ``misc`` that this Spawner is configurable by. Hubs send keys meant for other classes too."""
    if not misc:
        return {}
    traits = made.class_traits(config=True)
    ignored = sorted(misc.keys() - traits.keys() - {"internal_ssl"})
    if ignored:
        log.debug("%s has no configuration for misc: %s", made.__name__, ", ".join(ignored))
    return {key: _merged(_configured(made, config, key), value) for key, value in misc.items() if key in traits}


def _merged(configured: Any, value: Any) -> Any:
    """A copy all through: traitlets copies what it takes from a configuration, but not what a constructor is given."""
    is_merged = isinstance(configured, dict) and isinstance(value, dict)
    return deepcopy({**configured, **value} if is_merged else value)


def _configured(made: Any, config: Config, key: str) -> Any:
    """What the configuration file says of a trait, the most specific class last."""
    default = made.class_traits()[key].default_value
    configured = None if default is Undefined else default
    for section in made.section_names():
        if section in config:
            value = config[section].get(key, configured)
            configured = value.get_value(configured) if isinstance(value, LazyConfigValue) else value
    return configured
