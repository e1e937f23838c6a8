"""What the Kubernetes API says when it refuses or fails, in one sentence; and which of it may get better by itself."""

from __future__ import annotations

import json
import re
from typing import Any

from kubernetes_asyncio.client import ApiException

from core.errors import OutpostError

_MOST_WORDS = 1000
"""Characters of an answer that are passed on."""

_MISSING = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<what>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<where>[^"]+)")?'
)


class KubeError(ApiException, OutpostError):
    """An answer of the Kubernetes API that is no success. ``status`` is 0 when there was no answer at all.

    ``code`` is the API's own word for it, such as ``NotFound``; "" when somebody else has answered.
    """

    is_repeated = False
    """Is it the answer to another attempt than the first? An earlier one may have been carried out, its answer lost."""

    def __init__(self, status: int, sentence: str, code: str = "") -> None:
        super().__init__(status=status, reason=sentence)
        self.args = (sentence,)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


def is_passing(status: int | None) -> bool:
    """May the same request work a moment later?"""
    return status in (0, 429) or (status is not None and status >= 500)


def is_absent(error: KubeError) -> bool:
    """Does the API itself say that there is no such object? A proxy's 404 is no evidence."""
    return error.status == 404 and error.code == "NotFound"


def explained(error: ApiException) -> KubeError:
    """The error with the sentence a hub is told."""
    if isinstance(error, KubeError):
        return error
    status = int(error.status or 0)
    code, message = _answer(error)
    return KubeError(status, _sentence(status, message), code)


def unreachable(host: str, error: BaseException, seconds: float) -> KubeError:
    """There was no answer."""
    why = f"did not answer within {seconds:g} seconds" if isinstance(error, TimeoutError) else _reason(error)
    return KubeError(0, f"The Kubernetes API at {host} {why}")


def retry_after(error: ApiException) -> float:
    """How many seconds the API asks its clients to stay away; 0 when it does not say."""
    headers: Any = error.headers or {}
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _sentence(status: int, message: str) -> str:
    if status == 401:
        return "The Kubernetes API does not accept Outpost's credentials, not even after they were read anew"
    if status == 403:
        return _forbidden(message)
    if status in (400, 422):
        return f"The Kubernetes API refuses what Outpost asks for: {message}"
    return f"The Kubernetes API answered {status}: {message}"


def _forbidden(message: str) -> str:
    """Roles, quotas and admission all answer 403; only of a missing permission the API names verb and resource."""
    missing = _MISSING.search(message)
    if missing is None:
        return f"The Kubernetes cluster does not allow it: {message}"
    what = missing["what"] + (f".{missing['group']}" if missing["group"] else "")
    where = f'in the namespace "{missing["where"]}"' if missing["where"] else "in the whole cluster"
    return f'Outpost\'s role in the Kubernetes cluster lacks a permission: "{missing["verb"]}" of "{what}" {where}'


def _answer(error: ApiException) -> tuple[str, str]:
    """The API's word for what went wrong, and its message."""
    body: Any = error.body
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or error.reason or "")
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    code = ""
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        code, text = str(parsed.get("reason") or ""), str(parsed.get("message") or text)
    return code, " ".join(text.split())[:_MOST_WORDS] or "no message"


def _reason(error: BaseException) -> str:
    return f"cannot be reached: {' '.join(str(error).split()) or type(error).__name__}"
