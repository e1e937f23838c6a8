"""Which error becomes which answer. No answer shows what a caller sent, or a secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from core.errors import ServiceNotFound, StoreUnavailable, sentence
from core.redact import redact

SPAWNER_ERROR = 419
"""The status by which OutpostSpawner knows an error whose ``args`` it shows to the user."""


def error_body(error: BaseException) -> dict[str, Any]:
    """What OutpostSpawner reads of an error: ``{module, class, traceback, args, kwargs}``."""
    return {
        "module": type(error).__module__,
        "class": type(error).__name__,
        "traceback": redact("".join(traceback.format_exception(error))),
        "args": [redact(str(arg)) for arg in (sentence(error), *error.args[1:])],
        "kwargs": {},
    }


class SpawnerErrorsRoute(APIRoute):
    """A route whose unexpected exceptions are a Spawner's, a hook's or the configuration's: 419."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its exceptions turned into answers."""
        handler = super().get_route_handler()

        async def answering(request: Request) -> Response:
            try:
                return await handler(request)
            except HTTPException as error:
                raise _unparsable() if error.status_code == 400 else error from None
            except (RequestValidationError, ServiceNotFound, StoreUnavailable):
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the hub shows it to its user
                return JSONResponse(error_body(error), SPAWNER_ERROR)

        return answering


def _unparsable() -> RequestValidationError:
    """FastAPI answers 400 to bodies its JSON parser gives up on; to a hub they are bodies that do not fit."""
    return RequestValidationError([{"loc": ("body",), "msg": "is not JSON in UTF-8", "type": "json_invalid"}])


async def _not_found(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "Item not found"}, 404)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, headers={"Retry-After": "5"})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    shown = [{"loc": item["loc"], "msg": item["msg"], "type": item["type"]} for item in error.errors()]
    return JSONResponse({"detail": jsonable_encoder(shown)}, 422)


def install(app: FastAPI) -> None:
    """The answers that are the same for every route."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ServiceNotFound, _not_found)
    app.add_exception_handler(StoreUnavailable, _unavailable)
