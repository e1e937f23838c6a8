"""HTTP on Lambda: the API behind Mangum, with paths as the hub sent them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mangum import Mangum
from mangum.handlers import ALB, HTTPGateway
from starlette.types import ASGIApp, Receive, Scope, Send

from handlers import aws_events
from handlers.api import create_app
from handlers.aws_events import Event
from handlers.observed import Observe
from handlers.running import drained
from infra.wiring_functions import FunctionOutpost

_FUNCTION_URL_DOMAIN = ".lambda-url."


def http(function: FunctionOutpost, observe: Observe) -> Mangum:
    """The API for HTTP events. It has no lifespan: an instance may be frozen for ever after any answer."""
    app = create_app(function.outpost, function.environment.reread, observe)
    return Mangum(_Drained(app, function), lifespan="off", custom_handlers=FORMATS)


class _Drained:
    """An ASGI application that has ended when nothing goes on any more."""

    def __init__(self, app: ASGIApp, function: FunctionOutpost) -> None:
        self._app = app
        self._outpost = function.outpost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await drained(self._app(scope, receive, send), self._outpost)


def _without_host(event: Event) -> Event:
    """Nobody needs the Host header, and Mangum gives up at one whose port it cannot read."""
    given = {kind: event[kind] for kind in ("headers", "multiValueHeaders") if event.get(kind)}
    kept = {kind: {k: v for k, v in headers.items() if k.lower() != "host"} for kind, headers in given.items()}
    return {**event, **kept}


class _Format2(HTTPGateway):
    """A Function URL's or an HTTP API's event."""

    def __init__(self, event: Event, context: Any, config: Any) -> None:
        super().__init__(_without_host(event), context, config)

    @classmethod
    def infer(cls, event: Any, context: Any, config: Any) -> bool:
        """Is it one?"""
        return aws_events.is_format_2(event)

    @property
    def scope(self) -> Any:
        """A Function URL hands the path over as it came; an HTTP API has decoded it once, so it is encoded again."""
        path: str = self.event["rawPath"]
        came_encoded = _FUNCTION_URL_DOMAIN in self.event["requestContext"].get("domainName", "")
        raw_path = path if came_encoded else quote(path, safe="/")
        return {**super().scope, "raw_path": raw_path.encode()}


class _LoadBalancer(ALB):
    """An Application Load Balancer's event. The path is as it came."""

    def __init__(self, event: Event, context: Any, config: Any) -> None:
        super().__init__(_without_host(event), context, config)

    @classmethod
    def infer(cls, event: Any, context: Any, config: Any) -> bool:
        """Is it one?"""
        return aws_events.is_load_balancers(event)

    @property
    def scope(self) -> Any:
        """The ASGI scope, with the path as it came."""
        return {**super().scope, "raw_path": (self.event["path"] or "/").encode()}


FORMATS: list[Any] = [_Format2, _LoadBalancer]
"""How Mangum reads events."""
