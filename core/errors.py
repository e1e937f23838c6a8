"""Errors that reach a hub. ``args[0]`` is always one clear sentence for a user or operator."""

from __future__ import annotations


class OutpostError(Exception):
    """Base of what a hub is told: status 419 with module, class and args."""


class ConfigError(OutpostError):
    """The configuration cannot be used; the message names the file, line or key."""


class NotAllowed(OutpostError):
    """A rule of this Outpost forbids the start."""


class QuotaExceeded(NotAllowed):
    """A limit is reached; the message names the limit and its value."""

    def __init__(self, message: str, limit: str) -> None:
        """``limit`` is its key, as the operator writes it."""
        super().__init__(message)
        self.limit = limit


class ServiceExists(OutpostError):
    """A start with the identity of a service that exists."""


class ServiceNotFound(OutpostError):
    """No such service of this hub (HTTP 404)."""


class StartFailed(OutpostError):
    """A start ended without a running server."""


class StartCancelled(StartFailed):
    """Somebody asked to stop the service while it was starting."""


class StopFailed(OutpostError):
    """The resource could not be removed yet; the service stays ``stopping`` and is retried."""


class BadTrait(OutpostError):
    """A value of ``misc`` does not fit the Spawner's trait it names."""


class Unreadable(OutpostError):
    """A stored row that no configured key opens."""


class StoreUnavailable(OutpostError):
    """The database does not answer (HTTP 503); the request changed nothing that it reported."""


class HubUnreachable(OutpostError):
    """No answer from a hub, or one that a later try may better."""


class HubFailed(HubUnreachable):
    """A hub answered that it failed (HTTP 5xx)."""


def sentence(error: BaseException) -> str:
    """What a user reads of any error: its own words, or its name when it has none."""
    first = error.args[0] if error.args else ""
    told = first if isinstance(first, str) else str(error)  # the first of a system's error is a number
    return told or type(error).__name__
