"""What is counted: few names, whatever is called and by whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from handlers.observed import Observed, call_name
from handlers.paths import RawPaths, routing_path
from infra import emf

NAMES = {"start", "list", "poll", "stop", "flavors", "userflavors", "credits", "usercredits", "ping", "health", "other"}
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)


@given(name=ANY, start_id=ANY.filter(bool), base=st.sampled_from(["", "/outpost"]))
def test_a_services_calls_are_named_alike_whatever_it_is_called(name: str, start_id: str, base: str) -> None:
    raw = f"{base}/services/{quote(name, safe='')}/{quote(start_id, safe='')}"
    path = routing_path(raw.encode(), base)
    assert [call_name(method, path) for method in ("GET", "DELETE", "PUT")] == ["poll", "stop", "other"]


@given(method=st.sampled_from(["GET", "POST", "DELETE", "HEAD", "BREW"]), raw=st.binary(max_size=40))
def test_there_are_no_other_names(method: str, raw: bytes) -> None:
    assert call_name(method, routing_path(b"/" + raw)) in NAMES


@pytest.mark.parametrize(
    ("method", "raw", "name"),
    [
        ("POST", "/services", "start"),
        ("POST", "/services/", "start"),
        ("GET", "/services/", "list"),
        ("GET", "/services//0", "poll"),
        ("GET", "/flavors/", "flavors"),
        ("POST", "/userflavors", "userflavors"),
        ("GET", "/credits", "credits"),
        ("POST", "/usercredits", "usercredits"),
        ("GET", "/ping", "ping"),
        ("GET", "/health", "health"),
        ("POST", "/flavors", "other"),
        ("GET", "/servicesx", "other"),
        ("GET", "/", "other"),
    ],
)
def test_every_call_has_its_name(method: str, raw: str, name: str) -> None:
    assert call_name(method, routing_path(raw.encode())) == name


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """419 for flavors, a crash for credits, 200 for the rest."""
    path = Request(scope).url.path
    if path.endswith("/credits"):
        raise RuntimeError("broken")
    await PlainTextResponse("", 419 if path.endswith("/flavors") else 200)(scope, receive, send)


@pytest.mark.parametrize("base", ["", "/outpost"])
async def test_each_request_is_told_once_with_how_it_ended(base: str) -> None:
    told: list[tuple[str, int]] = []
    app = RawPaths(Observed(answer, lambda call, status, seconds: told.append((call, status))), base)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://outpost") as http:
        for path in ("/ping", "/flavors", "/credits", "/services/a%2Fb/0"):
            await http.get(base + path)
    assert told == [("ping", 200), ("flavors", 419), ("credits", 500), ("poll", 200)]


NOW = datetime(2030, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_metric_line_has_the_form_cloudwatch_counts() -> None:
    text = emf.line({"call": "poll", "outcome": "2xx"}, {"requests": 1, "seconds": 0.25}, NOW, "r1")
    assert "\n" not in text
    line = json.loads(text)
    about = line.pop("_aws")
    assert about["Timestamp"] == 1_893_499_200_250, "milliseconds"
    (metrics,) = about["CloudWatchMetrics"]
    assert metrics["Namespace"] == "Outpost"
    assert metrics["Dimensions"] == [["call", "outcome"]], "a list of lists"
    assert metrics["Metrics"] == [{"Name": "requests", "Unit": "Count"}, {"Name": "seconds", "Unit": "Seconds"}]
    for name in metrics["Dimensions"][0]:
        assert isinstance(line[name], str), "each dimension is a member, and a text"
    for metric in metrics["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float), "each metric is a member, and a number"
    assert line == {"call": "poll", "outcome": "2xx", "requests": 1, "seconds": 0.25, "request_id": "r1"}


def test_a_request_id_is_no_dimension() -> None:
    line = json.loads(emf.line({"call": "x"}, {"n": 1}, NOW, "r1"))
    assert "request_id" not in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]
