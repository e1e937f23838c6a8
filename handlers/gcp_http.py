"""HTTP on Cloud Run: the API as the answer of a function, streamed, with paths as the hub sent them."""

from __future__ import annotations

import logging

from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.threads import in_thread
from handlers.api import create_app
from handlers.running import drained
from infra.wiring_functions import FunctionOutpost

log = logging.getLogger(__name__)

_ABOUT_THE_REQUEST = {"method", "scheme", "path", "raw_path", "query_string", "root_path", "headers"}
_OF_A_SERVER = {"type", "asgi", "http_version", "client", "server", "extensions"} | _ABOUT_THE_REQUEST
"""The parts of a scope that a server sets; the framework's own routing adds others."""


class AnyPath(Convertor[str]):
    """What functions-framework's route for everything is to match: its own leaves paths with line breaks out."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """The path as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The path as it is."""
        return value


register_url_convertor("path", AnyPath())


def http(function: FunctionOutpost) -> ASGIApp:
    """The API. It has no lifespan: an instance may stand still for ever after any answer."""
    return create_app(function.outpost, lambda: function.environment.reread().hub_passwords)


class Answer(Response):
    """What an ASGI application answers, once nothing that it started goes on."""

    def __init__(self, app: ASGIApp, function: FunctionOutpost) -> None:
        super().__init__()
        self._app = app
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await in_thread(self._function.environment.refresh)
        request = {key: value for key, value in scope.items() if key in _OF_A_SERVER}
        try:
            await drained(self._app(request, receive, noting), self._function.outpost)
        except Exception:
            if not begun:
                raise
            log.exception("a request failed")  # its answer is on its way, so the framework can give no other
