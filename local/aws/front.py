"""What stands in front of a function and speaks HTTP, on loopback."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from local.aws.function import Function, PayloadTooLarge, Throttled
from local.aws.http_events import FUNCTION_URL, HTTP_API, HttpAnswer, HttpRequest, Kind, encoded, routed
from local.aws.http_server import HttpServer
from local.aws.records import Source
from local.aws.routes import Chosen, Route, Routes
from local.aws.runtime_api import Answer

GATEWAY_SECONDS = 30.0
"""An HTTP API's clients wait no longer."""


class FrontEnd(HttpServer):
    """Makes of every request one event for a function."""

    def __init__(self, target: Function | Routes, kind: Kind = FUNCTION_URL, port: int = 0) -> None:
        """``target``: the function, or which one is to be chosen. ``port`` 0 is a free one."""
        if isinstance(target, Function):
            target = Routes([Route(target, timeout=GATEWAY_SECONDS if kind is HTTP_API else None)])
        self._routes = target
        self._kind = kind
        self._patient = ThreadPoolExecutor(256, thread_name_prefix="front")
        super().__init__(self._answer_to, port)

    def route(self, routes: Routes) -> None:
        """From the next request on, choose by these."""
        self._routes = routes

    def close(self) -> None:
        """Answer no more."""
        super().close()
        self._patient.shutdown(wait=False)

    def _answer_to(self, request: HttpRequest) -> HttpAnswer:
        chosen = self._routes.choose(request.method, request.path)
        if chosen is None:
            return self._kind.not_found
        if chosen.route.timeout is None:
            return self._invoke(chosen, request, float("inf"))
        deadline = time.monotonic() + chosen.route.timeout
        invoked = self._patient.submit(self._invoke, chosen, request, deadline)
        try:
            return invoked.result(chosen.route.timeout)
        except TimeoutError:  # the function goes on
            return self._kind.timed_out

    def _invoke(self, chosen: Chosen, request: HttpRequest, deadline: float) -> HttpAnswer:
        function, source = chosen.route.function, Source("http", f"{request.method} {request.path}")
        event = routed(self._kind.event(request), chosen.route.key, chosen.parameters)
        try:
            invoked = function.handle(encoded(event), source)
        except Throttled:
            return self._kind.throttled
        except PayloadTooLarge:
            return self._kind.too_large
        answer = self._kind.timed_out if time.monotonic() > deadline else self._answer(invoked.answer)
        function.observe(replace(invoked.record, http_status=answer.status))
        return answer

    def _answer(self, invoked: Answer) -> HttpAnswer:
        if invoked.error:
            return self._kind.timed_out if invoked.timed_out else self._kind.failed
        try:
            return self._kind.answer(invoked.json())
        except (ValueError, TypeError):
            return self._kind.failed
