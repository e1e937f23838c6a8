"""HTTP requests as the events that functions get, and their results as HTTP answers.

Three front ends, with their differences: a Function URL and a load balancer leave the path as it was sent, an HTTP API
decodes it, and cuts it at a decoded ``?``.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from local.aws.instance import ACCOUNT, REGION

Event = dict[str, Any]

API_ID = "outpost123"

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")
_REMAPPED = {"www-authenticate"}


class HttpRequest(NamedTuple):
    """A request as it came: ``path`` is percent-encoded, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    source_ip: str = "127.0.0.1"


class HttpAnswer(NamedTuple):
    """What goes back to the client."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def function_url_event(request: HttpRequest) -> Event:
    """Payload format 2.0 as a Function URL sends it."""
    return _version_2(request, request.path, f"{API_ID}.lambda-url.{REGION}.on.aws")


def http_api_event(request: HttpRequest) -> Event:
    """Payload format 2.0 as an HTTP API with the stage ``$default`` sends it."""
    path = unquote(request.path).partition("?")[0]
    return _version_2(request, path, f"{API_ID}.execute-api.{REGION}.amazonaws.com")


def _version_2(request: HttpRequest, path: str, domain: str) -> Event:
    cookies = [value for name, value in request.headers if name == "cookie"]
    headers = _joined((name, value) for name, value in request.headers if name not in ("cookie", "host"))
    now = time.time()
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers | _forwarded(request) | {"host": domain},
        "requestContext": {
            "accountId": ACCOUNT if ".execute-api." in domain else "anonymous",
            "apiId": API_ID,
            "domainName": domain,
            "domainPrefix": API_ID,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = [cookie.strip() for line in cookies for cookie in line.split(";")]
    if request.query:
        event["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if request.body:
        event["body"], event["isBase64Encoded"] = _encoded(request)
    return event


def routed(event: Event, key: str, parameters: dict[str, str]) -> Event:
    """The event of a request that an HTTP API's route has taken."""
    if key != event.get("routeKey", key):
        event["routeKey"] = event["requestContext"]["routeKey"] = key
    if parameters:
        event["pathParameters"] = parameters
    return event


def encoded(event: Any) -> bytes:
    """An event as it is handed to a function."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def alb_event(request: HttpRequest, multi_value: bool = False) -> Event:
    """As an Application Load Balancer sends it; ``multi_value`` is that attribute of the target group."""
    headers = [*request.headers, *_forwarded(request).items()]
    query = [_pair(part) for part in request.query.split("&") if part]  # not decoded
    body, is_base64 = _encoded(request)
    group = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/outpost/0123456789abcdef"
    event: Event = {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": request.path,
        "body": body,
        "isBase64Encoded": is_base64,
    }
    if multi_value:
        return event | {"multiValueHeaders": _collected(headers), "multiValueQueryStringParameters": _collected(query)}
    return event | {"headers": dict(headers), "queryStringParameters": dict(query)}


def version_2_answer(result: Any) -> HttpAnswer:
    """The answer for a handler's result in payload format 2.0. Raises ``ValueError`` for one that is none."""
    if not isinstance(result, dict) or "statusCode" not in result:
        return HttpAnswer(200, [("content-type", "application/json")], json.dumps(result).encode())
    headers = _result_headers(result.get("headers"))
    headers += [("set-cookie", str(cookie)) for cookie in result.get("cookies") or []]
    return HttpAnswer(int(result["statusCode"]), headers, _decoded(result))


def function_url_answer(result: Any) -> HttpAnswer:
    """The same through a Function URL, which renames the header that would make a browser ask for a password."""
    status, headers, body = version_2_answer(result)
    renamed = [(f"x-amzn-remapped-{name}" if name in _REMAPPED else name, value) for name, value in headers]
    return HttpAnswer(status, renamed, body)


def alb_answer(result: Any) -> HttpAnswer:
    """The answer for a handler's result through a load balancer. Raises ``ValueError`` for one that is none."""
    if not isinstance(result, dict) or "statusCode" not in result:
        raise ValueError("a load balancer needs a statusCode")
    headers = _result_headers(result.get("headers"))
    for name, values in (result.get("multiValueHeaders") or {}).items():
        headers += [(name.lower(), str(value)) for value in values]
    return HttpAnswer(int(result["statusCode"]), headers, _decoded(result))


def _forwarded(request: HttpRequest) -> dict[str, str]:
    return {
        "x-forwarded-for": request.source_ip,
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
    }


def _encoded(request: HttpRequest) -> tuple[str, bool]:
    """The body as it stands in an event: as text where it is said to be text and is."""
    content_type = next((value for name, value in request.headers if name == "content-type"), "")
    if content_type.startswith(_TEXT):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _decoded(result: Event) -> bytes:
    body = result.get("body") or ""
    return base64.b64decode(body) if result.get("isBase64Encoded") else str(body).encode()


def _result_headers(headers: Event | None) -> list[tuple[str, str]]:
    return [(name.lower(), str(value)) for name, value in (headers or {}).items()]


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name, value


def _collected(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        collected.setdefault(name, []).append(value)
    return collected


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in _collected(pairs).items()}


class Kind(NamedTuple):
    """A front end: its conversions, and how it tells its clients of trouble."""

    event: Callable[[HttpRequest], Event]
    answer: Callable[[Any], HttpAnswer]
    failed: HttpAnswer
    timed_out: HttpAnswer
    throttled: HttpAnswer
    too_large: HttpAnswer
    not_found: HttpAnswer = HttpAnswer(404, [("content-type", "application/json")], b'{"message":"Not Found"}')
    """Where no route takes a request."""


def _message(status: int, key: str, text: str) -> HttpAnswer:
    return HttpAnswer(status, [("content-type", "application/json")], json.dumps({key: text}).encode())


_TOO_LARGE = "Request must be smaller than 6291556 bytes for the InvokeFunction operation"

FUNCTION_URL = Kind(
    event=function_url_event,
    answer=function_url_answer,
    failed=_message(502, "Message", "Internal Server Error"),
    timed_out=_message(504, "Message", "Gateway Timeout"),
    throttled=_message(429, "Message", "Rate Exceeded."),
    too_large=_message(413, "Message", _TOO_LARGE),
)
HTTP_API = Kind(
    event=http_api_event,
    answer=version_2_answer,
    failed=_message(500, "message", "Internal Server Error"),
    timed_out=_message(503, "message", "Service Unavailable"),
    throttled=_message(503, "message", "Service Unavailable"),
    too_large=_message(413, "message", "Request Entity Too Large"),
)
ALB = Kind(
    event=alb_event,
    answer=alb_answer,
    failed=HttpAnswer(502, [], b"502 Bad Gateway"),
    timed_out=HttpAnswer(504, [], b"504 Gateway Time-out"),
    throttled=HttpAnswer(502, [], b"502 Bad Gateway"),
    too_large=HttpAnswer(413, [], b"413 Request Entity Too Large"),
)
ALB_MULTI_VALUE = ALB._replace(event=lambda request: alb_event(request, multi_value=True))
