"""The folder in which everything stands that outlives one run: databases, passwords, homes, logs."""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from cryptography.fernet import Fernet

VERSION = "1"
"""Of what is in the folder and where. A folder without a version is of the first demo, which had the same."""

EMULATOR = "emulator"
"""By which the folder of a running emulator is locked."""

_FIRST_DEMO = "secrets.json"


class StateError(Exception):
    """The folder cannot be used; the message says why."""


@dataclass(frozen=True)
class Secrets:
    """Made once for each state folder, so that a second run can read what the first one stored."""

    crypt_key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    outpost_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    flavors_token: str = field(default_factory=lambda: secrets.token_hex(24))
    login_password: str = field(default_factory=lambda: secrets.token_urlsafe(9))


class State:
    """A state folder, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        """Makes what is missing. Raises ``StateError``."""
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.homes = self.folder / "homes"
        try:
            _check(folder)
            for each in (self.folder, self.logs, self.homes):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            self.secrets = _kept(self.folder / "secrets.json")
            (self.folder / "version").write_text(f"{VERSION}\n")
        except (OSError, ValueError, TypeError) as error:
            raise StateError(f"{folder} cannot hold the state: {error}") from error

    @property
    def mark(self) -> str:
        """What marks the processes that work in this folder."""
        return str(self.folder.resolve())

    @contextmanager
    def locked(self, by: str) -> Iterator[None]:
        """No other ``by`` uses the folder meanwhile. Raises ``StateError`` when one does."""
        with (self.folder / f"{by}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StateError(f"{self.folder} is in use by another {by}") from None
            yield


def _check(folder: Path) -> None:
    """Raises ``StateError`` for a folder of another version, and for one that holds something else."""
    version = folder / "version"
    if version.exists():
        found = version.read_text().strip()
        if found != VERSION:
            raise StateError(
                f"{folder} is a state folder of version {found[:20]!r}, and this is version {VERSION!r}:"
                " remove it, or name another one with --state"
            )
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / _FIRST_DEMO).exists():
        raise StateError(f"{folder} is no state folder, but holds other things: name another one with --state")


def _kept(path: Path) -> Secrets:
    known = json.loads(path.read_text()) if path.exists() else {}
    names = {each.name for each in fields(Secrets)}
    kept = Secrets(**{name: value for name, value in known.items() if name in names})
    if asdict(kept) != known:
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(kept), indent=2) + "\n")
    return kept
