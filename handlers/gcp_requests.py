"""The requests that Cloud Tasks and Cloud Scheduler send to functions: who may, what they say, what they hear."""

from __future__ import annotations

import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.errors import StoreUnavailable
from handlers.limits import MOST_BYTES
from handlers.messages import QueueMessage, json_object, options_fit
from infra.google_identity import CertificatesUnavailable, NotAllowed, Unidentified

log = logging.getLogger(__name__)

_LONGEST_ID = 64


class WrongRequest(Exception):
    """A request that the function does not take; the message says what would be right."""


class Failed(Exception):
    """What was asked for could not be done, and was logged."""


def id_of(request: Request) -> str:
    """By what Google's logs know the request."""
    trace = request.headers.get("x-cloud-trace-context", "").partition("/")[0]
    return (trace or request.headers.get("function-execution-id", ""))[:_LONGEST_ID]


async def body_of(request: Request) -> bytes:
    """All of it. Raises ``WrongRequest`` for one that is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise WrongRequest(f"the body is larger than {MOST_BYTES} bytes")
    return body


async def task(request: Request) -> QueueMessage:
    """The task that Cloud Tasks, or whoever stands in for it, hands over."""
    name = request.headers.get("x-cloudtasks-taskname", "without a name")
    return QueueMessage(name, json_object(await body_of(request)))


async def options(request: Request, *names: str) -> dict[str, Any]:
    """The options of a scheduled job: ``dry_run``, a bool, or one of those named, a text. Raises ``WrongRequest``."""
    body = await body_of(request)
    found = json_object(body) if body.strip() else {}
    if found is not None and found.keys() <= {"dry_run", *names} and len(found) <= 1 and options_fit(found):
        return found
    forms = " or ".join(["nothing", '{"dry_run": true}', *(f'{{"{name}": "..."}}' for name in names)])
    raise WrongRequest(f"the body must be {forms}")


def refusal(error: Exception) -> Response:
    """The answer to a request that was not done. None of them is a success, so that the caller tries again."""
    headers = {}
    match error:
        case Unidentified():
            status, headers = 401, {"WWW-Authenticate": "Bearer"}
        case NotAllowed():
            status = 403
        case WrongRequest():
            status = 400
        case StoreUnavailable() | CertificatesUnavailable():
            status, headers = 503, {"Retry-After": "5"}
        case Failed():
            return JSONResponse({"detail": str(error)}, 500)
        case _:
            log.error("a call failed", exc_info=error)
            return JSONResponse({"detail": "it failed; the log says why"}, 500)
    log.warning("a call was refused: %s", error)
    return JSONResponse({"detail": str(error)}, status, headers)
