"""Which function of an HTTP API a request goes to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from local.aws.function import Function

DEFAULT = "$default"

_VARIABLE = re.compile(r"\\{(\w+)(\\\+)?\\}")


@dataclass(frozen=True)
class Route:
    """Requests that go to a function: ``ANY`` and ``$default`` are all that no other route takes."""

    function: Function
    method: str = "ANY"
    path: str = DEFAULT
    """Such as ``/hubs/{name}`` or, for all below it, ``/files/{path+}``."""
    timeout: float | None = None
    """In seconds, for which the client waits; None for ever."""
    pattern: re.Pattern[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        pattern = _VARIABLE.sub(lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})", re.escape(self.path))
        object.__setattr__(self, "pattern", re.compile(".*" if self.path == DEFAULT else pattern))

    @property
    def key(self) -> str:
        """The ``routeKey`` of its events."""
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """Of several that fit, the lowest is chosen: full matches, then greedy ones, then the rest."""
        variables = _VARIABLE.findall(re.escape(self.path))
        greedy = sum(1 for _, plus in variables if plus)
        return self.path == DEFAULT, greedy, len(variables), self.method == "ANY"


class Chosen(NamedTuple):
    """A route, and what its variables stand for in one request."""

    route: Route
    parameters: dict[str, str]


class Routes:
    """The routes of one HTTP API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.rank)

    def choose(self, method: str, path: str) -> Chosen | None:
        """The route of a request; ``path`` is percent-encoded. None where there is none for it."""
        for route in self._routes:
            found = route.pattern.fullmatch(path) if route.method in (method, "ANY") else None
            if found:
                return Chosen(route, {name: unquote(value) for name, value in found.groupdict().items()})
        return None
