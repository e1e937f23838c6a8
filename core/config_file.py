"""The configuration in force: read once, and again whenever its file has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from core.config import JupyterHubOutpost, load_config
from core.errors import ConfigError

log = logging.getLogger(__name__)

Fingerprint = tuple[int, int] | None


class ConfigFile:
    """``outpost_config.py``; a broken change is reported, and the last good one stays in force."""

    def __init__(self, path: Path | None, on_load: Callable[[JupyterHubOutpost], None]) -> None:
        """Read the file. ``on_load`` gets every configuration that comes into force.

        Raises ``ConfigError`` when the file cannot be used.
        """
        self._path = path
        self._on_load = on_load
        self._seen = self._fingerprint()
        self._outpost = load_config(path)
        on_load(self._outpost)
        self.problem: str | None = None
        """Why the file as it stands now is not in force."""

    def __call__(self) -> JupyterHubOutpost:
        """The configuration in force at this moment."""
        seen = self._fingerprint()
        if seen != self._seen:
            self._seen = seen
            self._reload()
        return self._outpost

    def _reload(self) -> None:
        try:
            outpost = load_config(self._path)
        except ConfigError as error:
            self.problem = str(error)
            log.error("the changed configuration is not used: %s", error)
            return
        self._on_load(outpost)
        self._outpost, self.problem = outpost, None
        log.info("%s changed and is in force", self._path)

    def _fingerprint(self) -> Fingerprint:
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_size)
