"""Secrets of AWS become environment, and nothing of them is shown."""

from __future__ import annotations

import base64
import json
import threading
import traceback
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from core import logs
from core.config import JupyterHubOutpost
from core.errors import ConfigError
from handlers.auth import BasicAuth
from infra import aws as clients
from infra.secrets import Secrets
from infra.wiring_functions import Environment
from tests.support.aws import Aws, calls_of, forget_clients
from tests.support.clock import Clock

VALUE = "a value nobody may see"


def test_the_values_of_several_secrets_become_variables(aws: Aws, clock: Clock) -> None:
    aws.secret("outpost/db", SQL_PASSWORD=VALUE, SQL_PORT=5433, CHECK_ENDDATES=False)
    aws.client("secretsmanager").create_secret(Name="plain", SecretString="the whole: {value}")
    ssm = aws.client("ssm")
    ssm.put_parameter(Name="/outpost/hubs", Type="SecureString", Value=json.dumps({"usernames": "a;b"}))
    ssm.put_parameter(Name="/outpost/key", Type="SecureString", Value="k=1;k=2")
    entries = " outpost/db ;ssm:/outpost/hubs; WHOLE = plain;OUTPOST_CRYPT_KEY=ssm:/outpost/key;"
    environ = {"OUTPOST_SECRETS": entries, "SQL_PASSWORD": "from before"}
    Secrets(environ, clock)
    assert environ == {
        "OUTPOST_SECRETS": entries,
        "SQL_PASSWORD": VALUE,
        "SQL_PORT": "5433",
        "CHECK_ENDDATES": "false",
        "usernames": "a;b",
        "WHOLE": "the whole: {value}",
        "OUTPOST_CRYPT_KEY": "k=1;k=2",
    }


def test_a_secret_can_be_named_by_its_arn(aws: Aws, clock: Clock) -> None:
    arn = aws.client("secretsmanager").create_secret(Name="x", SecretString='{"A": "1"}')["ARN"]
    environ = {"OUTPOST_SECRETS": arn}
    Secrets(environ, clock)
    assert environ["A"] == "1"


def test_without_secrets_nothing_is_asked(aws: Aws, clock: Clock) -> None:
    calls = calls_of("secretsmanager")
    assert Secrets({}, clock).refresh() is False
    assert calls == []


def _binary(aws: Aws) -> None:
    aws.client("secretsmanager").create_secret(Name="s", SecretBinary=VALUE.encode())


def _text(aws: Aws, text: str) -> None:
    aws.client("secretsmanager").create_secret(Name="s", SecretString=text)


@pytest.mark.parametrize(
    ("entries", "make", "said"),
    [
        ("s", lambda aws: None, "'s' cannot be read: ResourceNotFoundException"),
        ("ssm:/s", lambda aws: None, "'ssm:/s' cannot be read: ParameterNotFound"),
        (
            "s",
            lambda aws: _text(aws, VALUE),
            "the value of 's' is no JSON object of variables; write NAME=s to use it whole",
        ),
        ("s", lambda aws: _text(aws, f'{{"SQL_PASSWORD": "{VALUE}"'), "the value of 's' is no JSON object"),
        ("s", lambda aws: _text(aws, f'["{VALUE}"]'), "the value of 's' is no JSON object"),
        ("s", _binary, "'s' is binary; it must be text"),
        (
            "s",
            lambda aws: _text(aws, json.dumps({"A": f"{VALUE}\0"})),
            "'s' holds a name or value that no variable can have",
        ),
        (
            "s",
            lambda aws: _text(aws, json.dumps({"A=B": VALUE})),
            "'s' holds a name or value that no variable can have",
        ),
        ("NAME=", lambda aws: None, "'' cannot be read: Parameter validation failed"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_and_not_shown(
    aws: Aws, clock: Clock, entries: str, make: Any, said: str
) -> None:
    make(aws)
    environ = {"OUTPOST_SECRETS": entries}
    with pytest.raises(ConfigError) as caught:
        Secrets(environ, clock)
    message = str(caught.value)
    assert message.startswith(f"OUTPOST_SECRETS: {said}")
    assert "\n" not in message
    assert environ == {"OUTPOST_SECRETS": entries}
    for shown in (repr(caught.value), "".join(traceback.format_exception(caught.value))):
        assert VALUE not in shown


def test_a_missing_permission_is_named(aws: Aws, clock: Clock, environ: MutableMapping[str, str]) -> None:
    aws.secret("s", SQL_PASSWORD=VALUE)
    environ.update(aws.key_without_rights())
    forget_clients()
    with pytest.raises(ConfigError, match=r"^OUTPOST_SECRETS: 's' cannot be read: (AccessDeniedException|403)$"):
        Secrets({"OUTPOST_SECRETS": "s"}, clock)


def test_aws_that_is_away_is_named(aws: Aws, clock: Clock, environ: MutableMapping[str, str]) -> None:
    environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    forget_clients()
    with pytest.raises(ConfigError, match=r"^OUTPOST_SECRETS: 's' cannot be read: Could not connect to the endpoint"):
        Secrets({"OUTPOST_SECRETS": "s"}, clock)


def test_secrets_are_read_again_at_most_once_a_minute(aws: Aws, clock: Clock) -> None:
    aws.secret("s", A="1")
    environ = {"OUTPOST_SECRETS": "s"}
    secrets = Secrets(environ, clock)
    aws.secret("s", A="2")
    calls = calls_of("secretsmanager")
    clock.forward(seconds=59)
    assert secrets.refresh() is False
    assert (environ["A"], calls) == ("1", [])
    clock.forward(seconds=1)
    assert secrets.refresh() is True
    assert environ["A"] == "2"
    clock.forward(seconds=59)
    assert secrets.refresh() is False
    clock.forward(seconds=1)
    assert secrets.refresh() is False, "nothing has changed"
    assert len(calls) == 2


def test_a_refresh_that_fails_keeps_what_is_there(aws: Aws, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    aws.secret("first", A="1")
    aws.secret("second", B="1")
    environ = {"OUTPOST_SECRETS": "first;second"}
    secrets = Secrets(environ, clock)
    aws.secret("first", A=VALUE)
    aws.client("secretsmanager").put_secret_value(SecretId="second", SecretString=VALUE)
    clock.forward(minutes=1)
    assert secrets.refresh() is False
    assert (environ["A"], environ["B"]) == ("1", "1"), "all or nothing"
    assert "secrets could not be read again: OUTPOST_SECRETS: the value of 'second' is no JSON" in caplog.text
    assert VALUE not in caplog.text


def test_who_is_refused_while_secrets_are_read_again_gets_what_is_read(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str]
) -> None:
    aws.secret("s", passwords="old password")
    environ["OUTPOST_SECRETS"] = "s"
    environment = Environment(clock)
    aws.secret("s", passwords="new password")
    clock.forward(minutes=1)
    reading, go_on = threading.Event(), threading.Event()

    def pause(**_: Any) -> None:
        reading.set()
        go_on.wait(10)

    clients.client("secretsmanager").meta.events.register("provide-client-params.*.*", pause)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(environment.reread)
        assert reading.wait(10)
        second = threads.submit(environment.reread)
        done, _ = wait([second], timeout=0.2)
        assert not done
        go_on.set()
        assert [told.result(10).hub_passwords["hub1"] for told in (first, second)] == ["new password"] * 2


def test_settings_that_a_changed_secret_would_break_stay_as_they_were(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    aws.secret("s", SQL_PORT="5432", passwords="first one")
    environ["OUTPOST_SECRETS"] = "s"
    environment = Environment(clock)
    aws.secret("s", SQL_PORT=VALUE, passwords="second one")
    clock.forward(minutes=1)
    assert environment.reread().hub_passwords == {"hub1": "first one"}
    assert "the changed secrets are not used: SQL_PORT: " in caplog.text
    assert VALUE not in caplog.text
    aws.secret("s", SQL_PORT="5432", passwords="third one")
    clock.forward(minutes=1)
    assert environment.reread().hub_passwords == {"hub1": "third one"}


async def test_a_hubs_rotated_password_lets_it_in_without_a_restart_and_guessing_asks_for_no_secrets(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    logs.configure(JupyterHubOutpost(log_level="DEBUG", extra_log_handlers=[caplog.handler]))
    aws.secret("hubs", usernames="hub1;hub2", passwords="old password;other password")
    environ["OUTPOST_SECRETS"] = "hubs"
    environment = Environment(clock)
    app = BasicAuth(PlainTextResponse("in"), environment.settings, environment.reread)
    calls = calls_of("secretsmanager")

    async def login(password: str, hub: str = "hub1") -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://outpost") as http:
            encoded = base64.b64encode(f"{hub}:{password}".encode()).decode()
            return (await http.get("/flavors", headers={"authorization": f"Basic {encoded}"})).status_code

    aws.secret("hubs", usernames="hub1;hub2", passwords="new password;other password")
    assert await login("new password") == 401, "secrets have just been read"
    clock.forward(minutes=1)
    assert await login("other password", "hub2") == 200
    assert [call.operation for call in calls if call.operation == "GetSecretValue"] == []
    assert await login("new password") == 200
    assert await login("old password") == 401
    for guess in range(20):
        assert await login(f"guess {guess}") == 401
    assert [call.operation for call in calls].count("GetSecretValue") == 1
    clock.forward(minutes=1)
    assert await login("one more guess") == 401
    assert await login("one more guess") == 401
    assert [call.operation for call in calls].count("GetSecretValue") == 2
    assert "401 Unauthorized" in caplog.text, "httpx's lines of this level are there"
    for password in ("old password", "new password", "other password", "guess 7"):
        assert password not in caplog.text


async def test_the_ssh_nodes_rotated_token_is_taken_without_a_restart(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str]
) -> None:
    aws.secret("node", OUTPOST_SSH_NODE_TOKEN="old token")
    environ["OUTPOST_SECRETS"] = "node"
    environment = Environment(clock)
    app = BasicAuth(PlainTextResponse("in"), environment.settings, environment.reread)

    async def restarted(token: str) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://outpost") as http:
            return (await http.post("/ssh-node", headers={"authorization": f"Bearer {token}"})).status_code

    assert await restarted("old token") == 200
    aws.secret("node", OUTPOST_SSH_NODE_TOKEN="new token")
    clock.forward(minutes=1)
    assert await restarted("new token") == 200
    assert await restarted("old token") == 401
