"""Keeps the secrets of the operation at hand out of whatever is written or answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

from core.model import Body, Inputs

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(r"token|password|passwd|secret|credential|private|api_?key|auth", re.IGNORECASE)
_SHORTEST = 6
"""Shorter values are no secrets worth the name, and would blank out ordinary words."""

_secrets: ContextVar[tuple[str, ...]] = ContextVar("secrets", default=())


def secrets_of(body: Body, inputs: Inputs) -> list[str]:
    """The values of a service that nobody but its Spawner may see."""
    found = [value for key, value in body.env.items() if _SECRET_KEY.search(key)]
    for values in (body.user_options, body.misc):
        found += [value for key, value in _leaves(values) if _SECRET_KEY.search(key)]
    found += inputs.auth_state.values()
    for pem in (*inputs.certs.values(), *inputs.trust_bundles.values()):
        found += [pem, *pem.splitlines()]
    return found


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    elif isinstance(value, str):
        yield key, value


def hide(secrets: Iterable[str]) -> None:
    """For the rest of this task, and of the tasks it starts: never show these values.

    There is no end to it on purpose. An error is written down after the operation that raised it has ended.
    """
    known = {secret for secret in secrets if len(secret) >= _SHORTEST} | {*_secrets.get()}
    _secrets.set(tuple(sorted(known, key=len, reverse=True)))  # a secret may hold another one


def redact(text: str) -> str:
    """``text`` without what was hidden."""
    for secret in _secrets.get():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


class RedactingFormatter(logging.Formatter):
    """Wraps another formatter and redacts what it made, tracebacks included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The inner formatter's text, redacted."""
        return redact(self._inner.format(record))
