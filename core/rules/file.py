"""The rules in force: read once, and again whenever their file has changed."""

from __future__ import annotations

import logging
from pathlib import Path

from core.rules.form import FLAVORS, Form
from core.rules.read import BrokenRules, read
from core.rules.resolve import Rules

log = logging.getLogger(__name__)

Fingerprint = tuple[int, int, int] | None


class RuleFile:
    """``flavors.yaml`` or ``credits.yaml``; a broken change is reported, and the last good rules stay in force."""

    def __init__(self, path: Path, form: Form = FLAVORS) -> None:
        """Read the file, if there is one. Raises ``BrokenRules``, a ``ConfigError``, when it cannot be used."""
        self.path = path
        self._form = form
        self._seen = self._fingerprint()
        self._rules = read(path, form)
        self._problem: str | None = None

    def __call__(self) -> Rules | None:
        """The rules in force at this moment; None when there is no file."""
        seen = self._fingerprint()
        if seen != self._seen:
            self._seen = seen
            self._reload()
        return self._rules

    @property
    def problem(self) -> str | None:
        """Why the file as it stands now is not in force."""
        self()
        return self._problem

    def _reload(self) -> None:
        try:
            self._rules, self._problem = read(self.path, self._form), None
        except BrokenRules as error:
            self._problem = str(error)
            log.error("the changed rules are not used: %s", error)
            return
        log.info("%s changed and is in force", self.path)

    def _fingerprint(self) -> Fingerprint:
        """Kubernetes swaps a link when it updates a file, so the file behind it counts too."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
