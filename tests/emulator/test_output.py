"""What the emulator tells: a line for each invocation, and how to reach it; no secrets but where they are asked for."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import httpx

from local.aws.records import Record, Source
from local.emulator.report import Report
from local.state import State
from tests.emulator.conftest import Start
from tests.support.outpost import ROOT
from tests.support.waiting import eventually


def lines(*records: Record) -> list[str]:
    """What people see of these, without the time."""
    out = StringIO()
    for record in records:
        Report(out=out).invocation(record)
    return [line.partition(" ")[2] for line in out.getvalue().splitlines()]


def test_an_invocation_is_one_line_with_function_warmth_duration_and_outcome() -> None:
    http = Source("http", "GET /services")
    assert lines(
        Record("ApiFunction", "1", http, "success", 12.4, http_status=200),
        Record("WorkerFunction", "2", Source("sqs", "3 messages"), "success", 1840.2, cold=True, init_ms=400.0),
        Record("RecoverFunction", "3", Source("schedule", "Tick"), "timeout", 60000, error_type="Sandbox.Timedout"),
        Record("ApiFunction", "4", http, "error", 3, error_type="ValueError", error_message="no\nway", http_status=502),
        Record("ApiFunction", "5", Source("invoke"), "throttled"),
    ) == [
        "ApiFunction      warm      12 ms  200  GET /services",
        "WorkerFunction   cold    1840 ms   ok  3 messages",
        "RecoverFunction  warm   60000 ms       Tick  timeout: Sandbox.Timedout",
        "ApiFunction      warm       3 ms  502  GET /services  error: ValueError no",
        "ApiFunction                 0 ms       invoke  throttled",
    ]


def test_machines_get_the_same_as_json(app: Path, emulator: Start) -> None:
    running = emulator(app).start()
    httpx.get(running.facts["function_urls"]["Greeter"] + "/path?query")
    running.invoke("Greeter", {"fail": "no way"})
    first, second = eventually(lambda: running.invocations("Greeter")[1:] and running.invocations("Greeter"))
    assert (first["status"], first["http_status"], first["what"]) == ("success", 200, "GET /path")
    assert (first["cold"], second["cold"]) == (True, False)
    assert (second["status"], second["error_type"], second["error_message"]) == ("error", "ValueError", "no way")
    assert running.facts["seconds"] > 0
    assert running.facts["functions"] == ["Greeter", "Worker", "Ticker"]


def test_the_welcome_has_what_a_hub_needs_and_logs_have_no_secret(tmp_path: Path, emulator: Start) -> None:
    """Machines are told where the passwords are; people see the hub's."""
    running = emulator(ROOT / "template.yaml").start()
    secrets = State(running.state).secrets
    assert running.facts["passwords"] == str(running.state / "secrets.json")
    login = (running.facts["user"], secrets.outpost_password)
    for url in (*running.facts["function_urls"].values(), *running.facts["http_apis"].values()):
        assert httpx.get(f"{url}/services", auth=login).json() == []
    assert running.stop() == 0
    written = [running.process.log, *running.state.glob("logs/*")]
    assert len(written) > 1
    for secret in vars(secrets).values():
        assert not [file for file in written if secret in file.read_text()]


def test_people_are_told_where_to_find_it_and_with_which_password(app: Path, emulator: Start) -> None:
    running = emulator(app)
    running.process = running.for_people()
    running.process.start()
    eventually(lambda: "Ctrl-C" in running.process.log.read_text(), 30, "it is ready")
    text = running.process.log.read_text()
    password = State(running.state).secrets.outpost_password
    assert re.search(r"Greeter +http://127.0.0.1:\d+ +Function URL", text)
    assert re.search(rf"password +{password}\n", text)
    assert re.search(r'c\.OutpostSpawner\.request_url = "http://127\.0\.0\.1:\d+/services"', text)
    assert re.search(r"Ready in \d+\.\d s", text)
