"""HTTP requests as AWS hands them to functions, in each of its formats."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Event = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A request as a hub sends it: the path and the query are percent-encoded."""

    method: str = "GET"
    path: str = "/"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    encoded: bool = field(default=False)
    """Does AWS hand the body over in base64? It must where that is no text."""


def _body(sent: Sent) -> Event:
    if sent.encoded:
        return {"body": base64.b64encode(sent.body).decode(), "isBase64Encoded": True}
    return {"body": sent.body.decode(), "isBase64Encoded": False}


def _format_2(sent: Sent, path: str, domain: str) -> Event:
    http = {"method": sent.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "hub"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": sent.query,
        "headers": {"host": domain, "x-forwarded-port": "443", **{k.lower(): v for k, v in sent.headers}},
        "requestContext": {"domainName": domain, "http": http, "stage": "$default", "requestId": "r"},
        **_body(sent),
    }


def function_url(sent: Sent) -> Event:
    """A Function URL leaves the path as it is."""
    return _format_2(sent, sent.path, "abc.lambda-url.eu-central-1.on.aws")


def http_api(sent: Sent) -> Event:
    """An HTTP API decodes the path once."""
    return _format_2(sent, unquote(sent.path), "abc.execute-api.eu-central-1.amazonaws.com")


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]


def load_balancer(sent: Sent) -> Event:
    """A load balancer leaves path and query as they are; of several values it hands on the last."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/x/1"}},
        "httpMethod": sent.method,
        "path": sent.path,
        "queryStringParameters": dict(_pairs(sent.query)),
        "headers": {
            "host": "outpost.example",
            "x-forwarded-for": "192.0.2.1",
            **{k.lower(): v for k, v in sent.headers},
        },
        **_body(sent),
    }


def load_balancer_multi(sent: Sent) -> Event:
    """With ``lambda.multi_value_headers.enabled`` it hands on all values."""
    event = load_balancer(sent)
    several: dict[str, list[str]] = {}
    for name, value in _pairs(sent.query):
        several.setdefault(name, []).append(value)
    headers = {name: [value] for name, value in event.pop("headers").items()}
    del event["queryStringParameters"]
    return {**event, "multiValueQueryStringParameters": several, "multiValueHeaders": headers}


FORMATS: dict[str, Callable[[Sent], Event]] = {
    "Function URL": function_url,
    "HTTP API": http_api,
    "load balancer": load_balancer,
    "load balancer, several values": load_balancer_multi,
}
