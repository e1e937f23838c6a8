"""The same request reaches the same route with the same values, whichever way it comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mangum import Mangum
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from handlers.aws_http import FORMATS as READERS
from handlers.paths import RawPaths, SegmentConvertor
from tests.support.aws_events import FORMATS, Event, Sent, function_url, http_api, load_balancer

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
SPECIAL = st.sampled_from(
    ["", "a/b", "50%", "100%25", "a%2Fb", "who?", "a b", "a+b", "größer", "//", "/", ".", "..", "#", "a;b=c&d", "日本"]
)
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(["auth-state-token", "Auth-State-X", "execution-type", "content-type"]), TEXTS, max_size=4
)
QUERIES = st.dictionaries(st.sampled_from(["collect_logs", "a b", "ä"]), NAMES, max_size=3)


class Seen:
    """What the application sees of a request."""

    def __init__(self, base_path: str = "") -> None:
        self.app = RawPaths(self._app, base_path)
        self.last: dict[str, Any] = {}

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {bytes(name).decode(): bytes(value).decode() for name, value in scope["headers"]}
        path: str = scope["path"].removeprefix(scope["root_path"])
        self.last = {
            "method": scope["method"],
            "route": path if not path.startswith("/services/") else "/services/{name}/{start_id}",
            "values": [SegmentConvertor().convert(part) for part in path.split("/")],
            "query": parse_qsl(scope["query_string"].decode(), keep_blank_values=True),
            "headers": {name: value for name, value in headers.items() if not name.startswith(("host", "x-forw"))},
            "body": (await receive())["body"],
        }
        await JSONResponse({})(scope, receive, send)


def through_a_server(sent: Sent, base_path: str = "") -> dict[str, Any]:
    """What it sees under uvicorn, which hands over what came."""
    seen = Seen(base_path)
    scope = {
        "type": "http",
        "method": sent.method,
        "path": unquote(sent.path),
        "raw_path": sent.path.encode(),
        "root_path": "",
        "query_string": sent.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.headers],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": sent.body, "more_body": False}

    async def send(_: Message) -> None:
        """Nobody listens."""

    asyncio.get_event_loop().run_until_complete(seen.app(scope, receive, send))
    return seen.last


def through_a_function(event: Event, base_path: str = "") -> dict[str, Any]:
    """What it sees as a function."""
    seen = Seen(base_path)
    context: Any = None
    answer = Mangum(seen.app, lifespan="off", custom_handlers=READERS)(event, context)
    assert answer["statusCode"] == 200
    return seen.last


@pytest.fixture(autouse=True, scope="module")
def loop() -> Iterator[None]:
    """The loop that Mangum runs on."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield
    asyncio.set_event_loop(None)
    made.close()


def service_path(name: str, start_id: str, base_path: str = "") -> str:
    """Where hubs find a service."""
    return f"{base_path}/services/{quote(name, safe='')}/{quote(start_id, safe='')}"


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
@given(
    name=NAMES | SPECIAL,
    start_id=st.from_regex(r"[0-9a-z~%. ä]{1,12}", fullmatch=True),
    method=st.sampled_from(["GET", "DELETE"]),
    headers=HEADERS,
    query=QUERIES,
    base_path=st.sampled_from(["", "/outpost", "/a/b"]),
    slash=st.booleans(),
)
def test_a_service_is_found_by_any_name(
    encode: Callable[[Sent], Event],
    name: str,
    start_id: str,
    method: str,
    headers: dict[str, str],
    query: dict[str, str],
    base_path: str,
    slash: bool,
) -> None:
    path = service_path(name, start_id, base_path) + ("/" if slash else "")
    sent = Sent(method, path, urlencode(query), tuple({k.lower(): (k, v) for k, v in headers.items()}.values()))
    seen = through_a_function(encode(sent), base_path)
    assert seen == through_a_server(sent, base_path)
    assert seen["values"] == ["", "services", name, start_id]
    assert seen["query"] == list(query.items())


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ping",
        "/ping/",
        "/services",
        "/services/",
        "/services//",
        "/services//0",
        "/services/x",
        "/flavors/",
        "//x",
    ],
)
@pytest.mark.parametrize("base_path", ["", "/outpost"])
def test_every_route_is_found(encode: Callable[[Sent], Event], path: str, base_path: str) -> None:
    sent = Sent("GET", base_path + path)
    assert through_a_function(encode(sent), base_path) == through_a_server(sent, base_path)


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
@given(text=NAMES)
def test_a_body_arrives_as_it_was_sent(encode: Callable[[Sent], Event], text: str) -> None:
    for encoded in (False, True):
        sent = Sent("POST", "/services", body=text.encode(), encoded=encoded)
        assert through_a_function(encode(sent)) == through_a_server(sent)


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
@given(body=st.binary(max_size=40))
def test_a_body_that_is_no_text_arrives_too(encode: Callable[[Sent], Event], body: bytes) -> None:
    sent = Sent("POST", "/services", body=body, encoded=True)
    assert through_a_function(encode(sent))["body"] == body


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("host", ["[::1]:8080", "a:b:c", "host:", "", "outpost.example:443"])
def test_no_host_header_breaks_a_request(encode: Callable[[Sent], Event], host: str) -> None:
    assert through_a_function(encode(Sent(headers=(("Host", host),))))["route"] == "/"


@pytest.mark.parametrize("sent", [service_path("a", "x/y"), service_path("a/b", "0").removesuffix("/0")])
def test_what_an_http_api_cannot_tell_apart_other_formats_can(sent: str) -> None:
    """It decodes the path: a slash in a start id, or in a name without one, looks like one between the two."""
    expected = through_a_server(Sent(path=sent))
    assert through_a_function(function_url(Sent(path=sent))) == expected
    assert through_a_function(load_balancer(Sent(path=sent))) == expected
    assert through_a_function(http_api(Sent(path=sent))) != expected


def test_cookies_come_as_a_header() -> None:
    event = function_url(Sent()) | {"cookies": ["a=1", "b=2"]}
    assert through_a_function(event)["headers"]["cookie"] == "a=1; b=2"
