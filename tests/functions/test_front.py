"""HTTP requests arrive at functions as AWS's front ends bring them there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.aws.front import FrontEnd
from local.aws.function import Function
from local.aws.http_events import FUNCTION_URL, HTTP_API, HttpRequest, Kind, alb_answer, alb_event
from local.aws.records import Record, Source
from local.aws.routes import Route, Routes
from tests.functions.conftest import Deploy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

Serve = Callable[..., httpx.Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Put a front end in front of a function."""
    served: list[tuple[FrontEnd, httpx.Client]] = []

    def new(function: Function | Routes, kind: Kind = FUNCTION_URL) -> httpx.Client:
        front = FrontEnd(function, kind)
        front.start()
        served.append((front, httpx.Client(base_url=front.url, timeout=60)))
        return served[-1][1]

    yield new
    for front, client in served:
        client.close()
        front.close()


def event_of(answer: httpx.Response) -> dict[str, Any]:
    event: dict[str, Any] = answer.json()["event"]
    return event


PATH = "/services/a%2Fb%3Fc//1"


@pytest.mark.parametrize(
    ("kind", "path", "domain"),
    [
        (FUNCTION_URL, PATH, "outpost123.lambda-url.eu-central-1.on.aws"),
        (HTTP_API, "/services/a/b", "outpost123.execute-api.eu-central-1.amazonaws.com"),
    ],
    ids=["function url", "http api"],
)
def test_a_request_is_an_event_of_format_2(deploy: Deploy, serve: Serve, kind: Kind, path: str, domain: str) -> None:
    client = serve(deploy("handlers.echo"), kind)
    headers = [("X-Many", "1"), ("X-Many", "2"), ("Cookie", "a=1; b=2"), ("Content-Type", "application/json")]
    event = event_of(client.put(PATH + "?x=%2F&x=2&y=", headers=headers, content='{"ü": 1}'.encode()))
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", path)
    assert event["requestContext"]["http"] | {"userAgent": ""} == {
        "method": "PUT",
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "",
    }
    assert event["requestContext"]["domainName"] == event["headers"]["host"] == domain
    assert event["rawQueryString"] == "x=%2F&x=2&y="
    assert event["queryStringParameters"] == {"x": "/,2", "y": ""}
    assert event["headers"]["x-many"] == "1,2"
    assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"ü": 1}', False)


@pytest.mark.parametrize(("content_type", "body"), [("image/png", b"text"), ("application/json", b"\xff\xfe")])
def test_what_is_no_text_comes_in_base64(deploy: Deploy, serve: Serve, content_type: str, body: bytes) -> None:
    client = serve(deploy("handlers.echo"))
    event = event_of(client.post("/", content=body, headers={"content-type": content_type}))
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == body


def test_a_result_is_the_answer_and_a_function_url_renames_the_password_header(deploy: Deploy, serve: Serve) -> None:
    function = deploy("handlers.echo")
    answer = serve(function).get("/")
    assert answer.status_code == 401
    assert answer.headers["x-amzn-remapped-www-authenticate"] == "Basic"
    assert "www-authenticate" not in answer.headers
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert serve(function, HTTP_API).get("/").headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize(("kind", "failed", "timed_out"), [(FUNCTION_URL, 502, 504), (HTTP_API, 500, 503)])
def test_a_function_that_fails_is_the_front_ends_own_error(
    deploy: Deploy, serve: Serve, kind: Kind, failed: int, timed_out: int
) -> None:
    assert serve(deploy("handlers.misbehaving"), kind).get("/").status_code == failed
    slow = deploy("handlers.sleeping", {"timeout": 0.3})
    assert serve(slow, kind).get("/").status_code == timed_out
    assert serve(deploy("handlers.about", {"concurrency": 0}), kind).get("/").status_code in (429, 503)


def test_a_body_that_lambda_does_not_take_is_refused(deploy: Deploy, serve: Serve) -> None:
    function = deploy("handlers.echo")
    answer = serve(function).post("/", content=b"x" * 7_000_000)
    assert answer.status_code == 413
    assert function.pids == []


def test_requests_at_once_are_handled_at_once(deploy: Deploy, serve: Serve, tmp_path: Path) -> None:
    function = deploy("handlers.sleeping", {"timeout": 60})
    client = serve(function)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(client.get, f"{tmp_path}/done") for _ in range(3)]
        eventually(lambda: len(function.pids) == 3, 60)
        (tmp_path / "done").touch()
        assert len({answer.result().json() for answer in answers}) == 3


def test_an_http_api_waits_so_long_and_no_longer_and_the_function_goes_on(
    deploy: Deploy, serve: Serve, tmp_path: Path, records: list[Record]
) -> None:
    """GIVEN an integration's time-out WHEN a function takes longer THEN the client is told so, and it is not ended."""
    function = deploy("handlers.sleeping", {"timeout": 60}, observer=records.append)
    client = serve(Routes([Route(function, timeout=0.5)]), HTTP_API)
    answer = client.get(f"{tmp_path}/done")
    assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})
    (tmp_path / "done").touch()
    eventually(lambda: [(record.status, record.http_status) for record in records] == [("success", 503)], 60)


def test_whoever_watches_is_told_of_requests_and_their_status(
    deploy: Deploy, serve: Serve, records: list[Record]
) -> None:
    client = serve(deploy("handlers.echo", observer=records.append))
    client.post("/services?x=1")
    (record,) = records
    assert record.source == Source("http", "POST /services")
    assert (record.status, record.http_status, record.cold) == ("success", 401, True)


REQUEST = HttpRequest("GET", PATH, "x=%2F&x=2", [("x-many", "1"), ("x-many", "2")], b"\xff")


def test_a_load_balancer_decodes_nothing_and_keeps_the_last_of_several_values() -> None:
    event = alb_event(REQUEST)
    assert (event["httpMethod"], event["path"]) == ("GET", PATH)
    assert event["requestContext"]["elb"]["targetGroupArn"].startswith("arn:aws:elasticloadbalancing:")
    assert event["queryStringParameters"] == {"x": "2"}
    assert event["headers"]["x-many"] == "2"
    assert (event["body"], event["isBase64Encoded"]) == ("/w==", True)
    assert "multiValueHeaders" not in event


def test_a_load_balancer_can_be_told_to_keep_them_all() -> None:
    event = alb_event(REQUEST, multi_value=True)
    assert event["multiValueQueryStringParameters"] == {"x": ["%2F", "2"]}
    assert event["multiValueHeaders"]["x-many"] == ["1", "2"]
    assert "headers" not in event


def test_a_load_balancer_takes_headers_of_either_kind() -> None:
    result = {
        "statusCode": 200,
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": "eA==",
        "isBase64Encoded": True,
    }
    assert alb_answer(result) == (200, [("set-cookie", "a=1"), ("set-cookie", "b=2")], b"x")
    with pytest.raises(ValueError, match="statusCode"):
        alb_answer(json.loads("{}"))
