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
    return create_app(function.outpost, function.environment.reread)


class Answer(Response):
    """What an ASGI application answers; the answer's end waits until nothing that it started goes on."""

    def __init__(self, app: ASGIApp, function: FunctionOutpost) -> None:
        super().__init__()
        self._app = app
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer. After the last part an instance may get no processor any more."""
        begun, last = False, None

        async def but_the_last(message: Message) -> None:
            nonlocal begun, last
            begun = True
            if message["type"] == "http.response.body" and not message.get("more_body"):
                last = message
            else:
                await send(message)

        await in_thread(self._function.environment.refresh)
        request = {key: value for key, value in scope.items() if key in _OF_A_SERVER}
        try:
            await drained(self._app(request, receive, but_the_last), self._function.outpost)
        except Exception:
            if not begun:
                raise
            log.exception("a request failed")  # its answer is on its way, so the framework can give no other
        if last is not None:
            await send(last)
