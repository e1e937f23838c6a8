"""Doors, paths and bodies."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.support.outpost import HUBS, HubCalls, OutpostProcess


def test_ping_needs_no_password(outpost: OutpostProcess) -> None:
    answer = httpx.get(f"{outpost.url}/ping")
    assert (answer.status_code, answer.json()) == (200, {"ping": "pong!"})


def test_health_tells_of_database_schema_and_config(outpost: OutpostProcess) -> None:
    answer = httpx.get(f"{outpost.url}/health")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["database"], told["schema"], told["config"]) == ("ok", "current", "ok")


def test_root_leads_to_the_documentation(hub: HubCalls) -> None:
    answer = hub.http.get("/", follow_redirects=True)
    assert answer.url.path == "/docs"
    assert answer.status_code == 200


def credentials(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer hub1",
        credentials(b"hub1"),
        credentials(b"hub1:"),
        credentials(b"hub1:second:password"),
        credentials(b"nobody:first password"),
        credentials(b":"),
        credentials(b"\xff\xfe:\x00"),
    ],
)
@pytest.mark.parametrize("path", ["/services", "/flavors", "/", "/docs", "/openapi.json", "/nothing"])
def test_who_is_no_known_hub_learns_nothing(outpost: OutpostProcess, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = httpx.get(outpost.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers[outpost.password_header].startswith("Basic")
    assert answer.json() == {"detail": "Not authenticated"}


@pytest.mark.parametrize("name", HUBS)
def test_a_known_hub_gets_in(outpost: OutpostProcess, name: str) -> None:
    with outpost.hub(name) as hub:
        assert hub.services() == []


@pytest.mark.parametrize("path", ["/ping", "/health", "/services", "/flavors", "/credits", "/openapi.json"])
def test_a_trailing_slash_changes_nothing_and_redirects_nowhere(hub: HubCalls, path: str) -> None:
    assert hub.http.get(path + "/").status_code == hub.http.get(path).status_code == 200


def test_an_unknown_path_is_404(hub: HubCalls) -> None:
    assert hub.http.get("/nothing/here").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b"{}", "name"),
        (b'{"name": 3}', "name"),
        (b'{"name": null}', "name"),
        (b'{"name": "a\\u0000b"}', "name"),
        (b'{"name": "\\ud800"}', "name"),
        (b'{"name": "%s"}' % (b"x" * 256), "name"),
        (b'{"name": "a", "env": []}', "env"),
        (b'{"name": "a", "env": {"A": {"deep": "secret"}}}', "env"),
        (b'{"name": "a", "user_options": 1}', "user_options"),
        (b'{"name": "a", "user_options": {"start_id": ["x"]}}', "start_id"),
        (b'{"name": "a", "user_options": {"start_id": "\\u0000"}}', "NUL"),
        (b'{"name": "a", "user_options": {"flavor": {}}}', "flavor"),
        (b'{"name": "a", "misc": "x"}', "misc"),
        (b'{"name": "a", "certs": {"keyfile": 1}}', "certs"),
        (b'{"name": "a", "authentication": "me"}', "authentication"),
        (b'{"name": "a", "env": {"JUPYTERHUB_USER_ID": "\\u0000"}}', "NUL"),
    ],
)
def test_a_body_that_does_not_fit_is_422_and_names_the_field(hub: HubCalls, body: bytes, field: str) -> None:
    answer = hub.http.post("/services", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert field in answer.text
    assert "secret" not in answer.text
    assert hub.services() == []


def test_a_body_of_50_megabytes_is_refused_with_the_limit(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.http.post("/services", content=b'{"name": "' + b"x" * 50_000_000 + b'"}')
    assert answer.status_code == 413
    assert outpost.body_limit in answer.text


def test_a_body_that_does_not_say_how_long_it_is_is_refused_too(hub: HubCalls) -> None:
    chunks = [b'{"name": "a"', *[b" " * 1_000_000] * 8, b"}"]
    answer = hub.http.post("/services", content=iter(chunks), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert hub.services() == []


def test_flavors_and_credits_are_empty_where_none_are_configured(hub: HubCalls) -> None:
    assert hub.http.get("/flavors").json() == {}
    assert hub.http.get("/credits").json() == {}
    assert hub.http.post("/userflavors", json={"name": "alice"}).json() == {}
    assert hub.http.post("/usercredits", json={"name": "alice"}).json() == {}
