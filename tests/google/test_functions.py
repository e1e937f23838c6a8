"""What is Cloud Run's own: who may call, what callers hear, and what an instance is between requests."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.conftest import config
from tests.google.conftest import DeployFunctions
from tests.support.cloud_run import AUDIENCE, MODES, TRUST, FunctionServer, OutpostOnCloudRun, call
from tests.support.cloud_tasks import CALLER
from tests.support.google import CERTIFICATES
from tests.support.outpost import NO_TLS, ROOT, servers_in
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

CALLED_BY_GOOGLE = ("worker", "expire", "recover", "tunnels", "migrate")


@pytest.fixture(scope="module")
def running(functions: DeployFunctions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutpostOnCloudRun]:
    """An Outpost on gunicorn whose time never comes by itself."""
    outpost = functions(tmp_path_factory.mktemp("functions"), config())
    try:
        outpost.start(JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER="3600", OUTPOST_LEASE_SECONDS="3600")
        yield outpost
    finally:
        outpost.close()


def errors_in(log: Path, since: int = 0) -> list[tuple[str, str]]:
    """Loggers and messages of the errors that were logged from that byte on."""
    lines = log.read_bytes()[since:].decode().splitlines()
    said = [json.loads(line) for line in lines if line.startswith("{")]
    return [(line["logger"], line["message"]) for line in said if line["severity"] == "ERROR"]


@pytest.fixture
def tokens(running: OutpostOnCloudRun, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that a test makes."""
    made: list[str] = []
    make = running.tasks.identity_token

    def kept(*arguments: str, **claims: Any) -> str:
        made.append(make(*arguments, **claims))
        return made[-1]

    monkeypatch.setattr(running.tasks, "identity_token", kept)
    return made


@pytest.mark.parametrize("name", CALLED_BY_GOOGLE)
def test_only_the_callers_of_the_settings_are_heard(running: OutpostOnCloudRun, name: str, tokens: list[str]) -> None:
    assert running.invoke(name, b'{"dry_run": true}').status_code == (500 if name == "worker" else 200)
    url = running.functions[name].url
    for headers in ({}, {"Authorization": "Basic aHViMTpmaXJzdCBwYXNzd29yZA=="}):
        answer = httpx.post(url, headers=headers, content=b'{"dry_run": true}', verify=NO_TLS)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Google ID token" in answer.json()["detail"]
    elsewhere = running.invoke(name, aud="https://elsewhere.example")
    assert (elsewhere.status_code, "audience" in elsewhere.json()["detail"]) == (401, True)
    expired = running.invoke(name, exp=1)
    assert (expired.status_code, expired.json()["detail"]) == (401, "the token has expired")
    forged = running.tasks.identity_token(AUDIENCE, CALLER)[:-8] + "AAAAAAAA"
    answer = httpx.post(url, headers={"Authorization": f"Bearer {forged}"}, verify=NO_TLS)
    assert answer.status_code == 401
    stranger = running.tasks.identity_token(AUDIENCE, "stranger@tests")
    answer = httpx.post(url, headers={"Authorization": f"Bearer {stranger}"}, verify=NO_TLS)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "stranger@tests is not among the callers that OUTPOST_OIDC_CALLERS allows",
    )
    written = running.log.read_text()
    assert "a call was refused: the token has expired" in written
    assert "a call was refused: stranger@tests is not among the callers" in written
    parts = {part for token in tokens for part in token.split(".")[1:]}
    assert len(parts) >= 2 * 4, "what was said and how it was signed: heard, elsewhere, expired, forged, stranger"
    assert not [part for part in parts if part in written]


@pytest.mark.parametrize("name", ["expire", "recover", "tunnels"])
@pytest.mark.parametrize(("body", "dry_run"), [(b"", False), (b"{}", False), (b'{"dry_run": true}', True)])
def test_a_scheduled_call_tells_what_it_did(running: OutpostOnCloudRun, name: str, body: bytes, dry_run: bool) -> None:
    answer = running.invoke(name, body)
    assert (answer.status_code, answer.json()) == (200, {"services": 0, "dry_run": dry_run})


WRONG = [b"x", b"[]", b'{"dry_run": 1}', b'{"generation": ""}', b'{"generation": 7}', b'{"dry_run": true, "x": 1}']


@pytest.mark.parametrize("body", WRONG)
def test_a_body_that_does_not_fit_is_refused_with_what_would_be_right(running: OutpostOnCloudRun, body: bytes) -> None:
    answer = running.invoke("tunnels", body)
    assert answer.status_code == 400
    assert answer.json() == {"detail": 'the body must be nothing or {"dry_run": true} or {"generation": "..."}'}
    assert running.invoke("expire", b'{"generation": "2"}').status_code == 400


def test_a_generation_makes_tunnels_be_rebuilt(running: OutpostOnCloudRun) -> None:
    with running.hub() as hub:
        env = {"JUPYTERHUB_SETUPTUNNEL_URL": "http://127.0.0.1:1/tunnel"}
        assert hub.start("tunnelled", env=env).status_code == 200
        answer = running.invoke("tunnels", b'{"generation": "the next"}')
        assert answer.json() == {"services": 0, "dry_run": False}
        assert "its tunnel is set up later" in running.log.read_text(), "the hub was asked, and is away"
        assert hub.stop("tunnelled").status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_functions_beside_the_api_are_called_by_post_only(running: OutpostOnCloudRun, method: str) -> None:
    answer = httpx.request(method, running.functions["worker"].url, verify=NO_TLS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


BROKEN_TASKS = {
    b"": "must be {'service': ID}",
    b"x": "must be {'service': ID}",
    b'{"service": "7"}': "must be {'service': ID}",
    b'{"flavors": "?", "attempt": 0}': "failed",
}


@pytest.mark.parametrize(("body", "why"), BROKEN_TASKS.items())
def test_a_task_that_cannot_be_done_is_no_success_and_the_log_says_why(
    running: OutpostOnCloudRun, body: bytes, why: str
) -> None:
    before = running.log.stat().st_size
    answer = running.invoke("worker", body)
    assert (answer.status_code, answer.json()) == (500, {"detail": "the task failed; the log says why"})
    ((logger, message),) = errors_in(running.log, before)
    assert (logger, why in message) == ("handlers.running", True)


SILENT_ON_PURPOSE = """
import logging
logging.getLogger("handlers.gcp_requests").disabled = True
"""


@pytest.mark.parametrize("silenced", [False, True])
def test_the_frameworks_own_logging_silences_nobody_but_the_configuration_may(
    running: OutpostOnCloudRun, tmp_path: Path, silenced: bool
) -> None:
    """The platform has the framework set logging up, which disables the loggers that there are by then."""
    config, log = tmp_path / "outpost_config.py", tmp_path / "log"
    config.write_text(TRUST.format(url=running.tasks.url + CERTIFICATES) + (SILENT_ON_PURPOSE if silenced else ""))
    function = FunctionServer("worker", "gunicorn", running.env | {"OUTPOST_CONFIG_FILE": str(config)}, log)
    function.start()
    try:
        function.wait()
        assert call(function, running.tasks, b"x").status_code == 500
        assert [logger for logger, _ in errors_in(log)] == ["handlers.running"]
        assert call(function, running.tasks, aud="https://elsewhere.example").status_code == 401
        assert ("a call was refused" in log.read_text()) == (not silenced)
    finally:
        function.kill()


def test_a_task_whose_row_is_gone_is_done(running: OutpostOnCloudRun) -> None:
    assert running.invoke("worker", b'{"service": 999999}').status_code == 200


def test_names_hold_any_character(running: OutpostOnCloudRun) -> None:
    with running.hub() as hub:
        for name in ("", "a/b", "a\nb\n", "%2F", "ü ?#;", "..", "favicon.ico"):
            assert hub.start(name).status_code == 200, name
            assert hub.poll(name).json()["status"] is None, name
            assert [service["name"] for service in hub.services()] == [name]
            assert hub.stop(name).status_code == 200, name


def test_one_instance_carries_many_starts_on_at_once(running: OutpostOnCloudRun) -> None:
    names = [f"many{number}" for number in range(12)]
    with running.hub() as hub, ThreadPoolExecutor(len(names)) as threads:
        started = list(threads.map(lambda name: hub.start(name, asynchronous=True).status_code, names))
        assert started == [202] * len(names)
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"] * len(names), 60, "all run")
        assert len(servers_in(running.folder)) == len(names)
        stopped = list(threads.map(lambda name: hub.stop(name, asynchronous=True).status_code, names))
        assert stopped == [202] * len(names)
        eventually(lambda: hub.services() == [] and servers_in(running.folder) == [], 60, "all are gone")


def test_what_hubs_are_to_hear_is_handed_on_before_the_answer(
    running: OutpostOnCloudRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards an instance may get no processor any more."""
    create = running.tasks._create

    def slow(*args: Any) -> Any:
        time.sleep(0.3)
        return create(*args)

    with running.hub() as hub:
        hub.start("warm", asynchronous=True)
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], 60, "the queue's client is there")
        eventually(lambda: not running.tasks.waiting(), 60, "all is told")
        before = len(running.tasks.tasks)
        monkeypatch.setattr(running.tasks, "_create", slow)
        env = {"JUPYTERHUB_FLAVORS_UPDATE_URL": "http://127.0.0.1:1/flavors", "JUPYTERHUB_FLAVORS_UPDATE_TOKEN": "t"}
        assert hub.start("telling", env=env).status_code == 200
        assert len(running.tasks.tasks) > before
        monkeypatch.undo()
        for name in ("warm", "telling"):
            assert hub.stop(name).status_code == 200


@pytest.mark.parametrize("name", ["api", "recover"])
def test_without_a_database_a_call_is_no_success(running: OutpostOnCloudRun, name: str, tmp_path: Path) -> None:
    there = socket.create_server(("127.0.0.1", 0))
    env = running.env | {"SQL_PORT": str(there.getsockname()[1])}
    function = FunctionServer(name, "gunicorn", env, tmp_path / "log")
    try:
        with there:  # else an instance waits for it before it takes requests
            function.start()
            function.wait()
        token = running.tasks.identity_token(AUDIENCE, CALLER)
        path, auth = ("/services", ("hub1", "first password")) if name == "api" else ("/", None)
        headers = {} if auth else {"Authorization": f"Bearer {token}"}
        method = "GET" if auth else "POST"
        answer = httpx.request(method, function.url + path, auth=auth, headers=headers, timeout=60, verify=NO_TLS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    finally:
        function.kill()


@pytest.mark.parametrize("mode", MODES)
def test_an_instance_takes_requests_when_its_way_to_the_database_is_open(
    running: OutpostOnCloudRun, tmp_path: Path, mode: str
) -> None:
    log = tmp_path / "log"
    with socket.socket() as host:
        host.bind(("127.0.0.1", 0))
        env = running.env | {"SQL_HOST": "127.0.0.1", "SQL_PORT": str(host.getsockname()[1])}
        function = FunctionServer("api", mode, env, log)
        function.start()
        try:
            eventually(lambda: "SQL_HOST cannot be reached yet" in log.read_text(), 60, "it waits")
            with pytest.raises(httpx.ConnectError):
                httpx.get(function.url, verify=NO_TLS)
            host.listen()
            function.wait()
        finally:
            function.kill()


MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "the key": ({"OUTPOST_CRYPT_KEY": "x"}, "OUTPOST_CRYPT_KEY"),
    "the queue": ({"OUTPOST_TASKS_QUEUE": ""}, "OUTPOST_TASKS_QUEUE: not set"),
    "half of the check": ({"OUTPOST_OIDC_CALLERS": ""}, "OUTPOST_OIDC_AUDIENCE, OUTPOST_OIDC_CALLERS: one is set"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("env", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_settings_ends_the_start(
    running: OutpostOnCloudRun, tmp_path: Path, mode: str, env: dict[str, str], reason: str
) -> None:
    function = FunctionServer("worker", mode, running.env | env, tmp_path / "log")
    function.start()
    try:
        eventually(lambda: not function.running, 60, "it has ended")
        assert reason in (tmp_path / "log").read_text()
    finally:
        function.kill()


def test_a_broken_configuration_file_ends_the_start(running: OutpostOnCloudRun, tmp_path: Path) -> None:
    broken = tmp_path / "outpost_config.py"
    broken.write_text("x = 1\nc.JupyterHubOutpost.flavors = (\n")
    function = FunctionServer("api", "gunicorn", running.env | {"OUTPOST_CONFIG_FILE": str(broken)}, tmp_path / "log")
    function.start()
    try:
        eventually(lambda: not function.running, 60, "it has ended")
        assert "outpost_config.py, line 2" in (tmp_path / "log").read_text()
    finally:
        function.kill()


FORKING = """
import json, os
from handlers import gcp
told, tell = os.pipe()
before = gcp._function()
if os.fork() == 0:
    after = gcp._function()
    os.write(tell, json.dumps([after.outpost.owner, after.environment is before.environment]).encode())
    os._exit(0)
os.wait()
print(json.dumps([before.outpost.owner, *json.loads(os.read(told, 1000))]))
"""


def test_each_process_of_the_server_has_leases_of_its_own_and_what_was_fetched_in_common(
    running: OutpostOnCloudRun,
) -> None:
    env = running.env | {"FUNCTION_TARGET": "worker"}
    ended = subprocess.run([sys.executable, "-c", FORKING], env=env, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    before, after, is_shared = json.loads(ended.stdout.splitlines()[-1])
    assert before != after
    assert is_shared


def test_the_tokens_of_tasks_are_for_the_worker(running: OutpostOnCloudRun) -> None:
    with running.hub() as hub:
        assert hub.start("told", asynchronous=True).status_code == 202
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], 60, "it runs")
        hub.stop("told")
    asked: list[Any] = [(task.caller, task.audience, task.url) for task in running.tasks.tasks.values()]
    worker = running.functions["worker"].url
    assert set(asked) == {(CALLER, worker, worker)}
