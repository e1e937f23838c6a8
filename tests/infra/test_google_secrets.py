"""Secrets of Google's Secret Manager become environment, and nothing of them is shown."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from infra.secrets import Secrets
from infra.wiring_functions import Environment
from tests.support import google as google_support
from tests.support.clock import Clock
from tests.support.google import Google

VALUE = "a value nobody may see"
SECRET = "projects/tests/secrets/outpost"


@pytest.fixture
def google(environ: MutableMapping[str, str], tmp_path: Path) -> Iterator[Google]:
    """A project without secrets, which this process's account may read."""
    with google_support.server() as running:
        environ["OUTPOST_SECRET_MANAGER_ENDPOINT_URL"] = running.url
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(running.key_file(tmp_path))
        yield running


def put(google: Google, version: int = 1, secret: str = SECRET, **values: object) -> None:
    """A version of a secret that is a JSON object."""
    google.secrets[f"{secret}/versions/{version}"] = json.dumps(values).encode()


def test_the_values_of_several_secrets_become_variables(google: Google, clock: Clock) -> None:
    put(google, 1, SQL_PASSWORD="old", SQL_PORT=5433, CHECK_ENDDATES=False)
    put(google, 2, SQL_PASSWORD=VALUE, SQL_PORT=5433, CHECK_ENDDATES=False)
    put(google, 1, "projects/1234/secrets/hubs", usernames="a;b")
    google.secrets["projects/example.com:p/secrets/key/versions/3"] = b"k=1;k=2"
    entries = f" {SECRET} ;projects/1234/secrets/hubs/versions/1;KEY = projects/example.com:p/secrets/key/versions/3;"
    before = {"OUTPOST_SECRETS": entries, "OUTPOST_SECRET_MANAGER_ENDPOINT_URL": google.url}
    environ = before | {"SQL_PASSWORD": "from before"}
    Secrets(environ, clock)
    assert environ == before | {
        "SQL_PASSWORD": VALUE,
        "SQL_PORT": "5433",
        "CHECK_ENDDATES": "false",
        "usernames": "a;b",
        "KEY": "k=1;k=2",
    }


def test_a_version_that_is_named_stays(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    put(google, 1, A="1")
    put(google, 2, A="2")
    environ["OUTPOST_SECRETS"] = f"{SECRET}/versions/1"
    Secrets(environ, clock)
    assert environ["A"] == "1"


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        (SECRET, None, f"{SECRET!r} cannot be read: HTTP 404 NOT_FOUND"),
        (
            SECRET,
            VALUE.encode(),
            f"the value of {SECRET!r} is no JSON object of variables; write NAME={SECRET} to use it whole",
        ),
        (SECRET, f'["{VALUE}"]'.encode(), f"the value of {SECRET!r} is no JSON object"),
        (SECRET, b"\xff" + VALUE.encode(), f"{SECRET!r} is binary; it must be text"),
        (SECRET, json.dumps({"A": f"{VALUE}\0"}).encode(), f"{SECRET!r} holds a name or value that no variable"),
        (
            f"{SECRET}/version/1",
            VALUE.encode(),
            f"'{SECRET}/version/1' must be projects/P/secrets/S or projects/P/secrets/S/versions/V",
        ),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    google: Google, clock: Clock, environ: MutableMapping[str, str], entry: str, value: bytes | None, said: str
) -> None:
    if value is not None:
        google.secrets[f"{SECRET}/versions/1"] = value
    environ["OUTPOST_SECRETS"] = entry
    before = dict(environ)
    with pytest.raises(ConfigError) as caught:
        Secrets(environ, clock)
    assert str(caught.value).startswith(f"OUTPOST_SECRETS: {said}")
    assert "\n" not in str(caught.value)
    assert environ == before
    for shown in (repr(caught.value), "".join(traceback.format_exception(caught.value))):
        assert VALUE not in shown


def refused(status: int, word: str) -> tuple[int, dict[str, Any]]:
    """Google's answer, with something in it that must not be shown."""
    return status, {"error": {"code": status, "status": word, "message": VALUE}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused(403, "PERMISSION_DENIED"), "HTTP 403 PERMISSION_DENIED"),
        (refused(400, "FAILED_PRECONDITION"), "HTTP 400 FAILED_PRECONDITION"),
        ((500, VALUE), "HTTP 500"),
    ],
)
def test_a_refusal_is_told_in_googles_word(
    google: Google, clock: Clock, environ: MutableMapping[str, str], answer: Any, said: str
) -> None:
    google.refuses = answer
    environ["OUTPOST_SECRETS"] = SECRET
    with pytest.raises(ConfigError) as caught:
        Secrets(environ, clock)
    assert str(caught.value) == f"OUTPOST_SECRETS: {SECRET!r} cannot be read: {said}"


def test_an_answer_without_a_value_is_told(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    google.refuses = 200, {"name": SECRET}
    environ["OUTPOST_SECRETS"] = SECRET
    with pytest.raises(ConfigError, match=f"^OUTPOST_SECRETS: '{SECRET}' has no value$"):
        Secrets(environ, clock)


def test_google_that_is_away_is_told(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    environ.update(OUTPOST_SECRETS=SECRET, OUTPOST_SECRET_MANAGER_ENDPOINT_URL="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match=f"^OUTPOST_SECRETS: '{SECRET}' cannot be read: .*refused"):
        Secrets(environ, clock)


def test_an_address_that_is_none_is_named(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    environ.update(OUTPOST_SECRETS=SECRET, OUTPOST_SECRET_MANAGER_ENDPOINT_URL="secretmanager")
    with pytest.raises(ConfigError, match=r"^OUTPOST_SECRET_MANAGER_ENDPOINT_URL: must have the form https://host$"):
        Secrets(environ, clock)


def test_missing_credentials_are_told(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    environ["OUTPOST_SECRETS"] = SECRET
    environ["GOOGLE_APPLICATION_CREDENTIALS"] += ".missing"
    with pytest.raises(ConfigError, match=r"^OUTPOST_SECRETS: there are no Google credentials: .*\.missing"):
        Secrets(environ, clock)


def test_without_googles_library_the_way_out_is_told(
    google: Google, clock: Clock, environ: MutableMapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)
    environ["OUTPOST_SECRETS"] = SECRET
    with pytest.raises(ConfigError, match=r"^OUTPOST_SECRETS: google-auth is not installed; .*outpost\[gcp\]$"):
        Secrets(environ, clock)


def test_a_new_version_is_found_at_most_once_a_minute(
    google: Google, clock: Clock, environ: MutableMapping[str, str]
) -> None:
    put(google, 1, passwords="old password")
    environ["OUTPOST_SECRETS"] = SECRET
    environment = Environment(clock)
    put(google, 2, passwords="new password")
    asked = len(google.seen)
    clock.forward(seconds=59)
    assert environment.reread().hub_passwords == {"hub1": "old password"}
    assert len(google.seen) == asked
    clock.forward(seconds=1)
    assert environment.reread().hub_passwords == {"hub1": "new password"}


def test_a_refresh_that_fails_keeps_what_is_there(
    google: Google, clock: Clock, environ: MutableMapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    put(google, 1, passwords="old password")
    environ["OUTPOST_SECRETS"] = SECRET
    environment = Environment(clock)
    google.refuses = refused(503, "UNAVAILABLE")
    clock.forward(minutes=1)
    assert environment.reread().hub_passwords == {"hub1": "old password"}
    assert f"secrets could not be read again: OUTPOST_SECRETS: {SECRET!r} cannot be read: HTTP 503" in caplog.text
    assert VALUE not in caplog.text
