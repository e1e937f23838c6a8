"""What is stored encrypted: JSON under Fernet keys that can be rotated."""

from __future__ import annotations

import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import ConfigError, Unreadable

_HOW = 'make one with: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class Sealer:
    """Seals JSON values with the first of its keys, and opens what any of them sealed."""

    def __init__(self, keys: str) -> None:
        """``keys`` are Fernet keys separated by ``;``. Raises ``ConfigError`` without showing a key."""
        parts = [key.strip() for key in keys.split(";") if key.strip()]
        if not parts:
            raise ConfigError(f"OUTPOST_CRYPT_KEY: not set, but stored data must be encrypted; {_HOW}")
        fernets = []
        for number, key in enumerate(parts, 1):
            try:
                fernets.append(Fernet(key))
            except ValueError:
                raise ConfigError(
                    f"OUTPOST_CRYPT_KEY: key {number} of {len(parts)} is no Fernet key "
                    f"(32 bytes in URL-safe base64); {_HOW}"
                ) from None
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)

    def seal(self, value: Any) -> bytes:
        """The encrypted JSON of ``value``."""
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, token: bytes) -> Any:
        """The value that was sealed. Raises ``Unreadable`` when no key fits."""
        try:
            return json.loads(_opened(self._fernet, token))
        except ValueError:
            raise Unreadable("stored data is no JSON") from None

    def renew(self, token: bytes) -> bytes:
        """The same value under the first key; ``token`` itself when it is so already. Raises ``Unreadable``."""
        try:
            self._first.decrypt(token)
        except InvalidToken:
            return self._first.encrypt(_opened(self._fernet, token))
        return token


def _opened(fernet: MultiFernet, token: bytes) -> bytes:
    try:
        return fernet.decrypt(token)
    except InvalidToken:
        raise Unreadable("stored data cannot be read with any key of OUTPOST_CRYPT_KEY") from None
