"""From ``c.JupyterHubOutpost.spawner_class`` to a class."""

from __future__ import annotations

import importlib
from functools import lru_cache
from importlib.metadata import entry_points

from core.config import SpawnerSpec
from core.errors import ConfigError


def spawner_class(spec: SpawnerSpec) -> type:
    """The Spawner class that ``spec`` is, or names by entry point or import string.

    Raises ``ConfigError`` when there is no such class, or when it is no Spawner.
    """
    found = spec if isinstance(spec, type) else _by_name(spec)
    from jupyterhub.spawner import Spawner

    if not issubclass(found, Spawner):
        raise ConfigError(f"c.JupyterHubOutpost.spawner_class: {found.__qualname__} is no jupyterhub Spawner")
    return found


@lru_cache
def _by_name(name: str) -> type:
    for entry in entry_points(group="jupyterhub.spawners", name=name.lower()):
        loaded: type = entry.load()
        return loaded
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        known = sorted({entry.name for entry in entry_points(group="jupyterhub.spawners")})
        raise ConfigError(
            f"c.JupyterHubOutpost.spawner_class: {name!r} is neither a registered Spawner "
            f"({', '.join(known)}) nor an import string such as 'kubespawner.KubeSpawner'"
        )
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"c.JupyterHubOutpost.spawner_class: {name!r} cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise ConfigError(f"c.JupyterHubOutpost.spawner_class: {name!r} is no class")
    return found
