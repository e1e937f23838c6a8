"""Stopped or killed, and started again: servers are found again, nothing is lost, and nothing is left behind."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from local.configs import HUB_NAME
from local.state import State
from tests.contract.conftest import config
from tests.emulator.conftest import Start
from tests.emulator.test_mistakes import change
from tests.support.emulator import Emulator
from tests.support.outpost import ROOT, HubCalls, servers_in
from tests.support.waiting import eventually

TEMPLATE = ROOT / "template.yaml"


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Outpost with the zoo, whose servers are ended with the test."""
    (tmp_path / "outpost_config.py").write_text(config())
    (tmp_path / "variables.json").write_text(
        json.dumps({"Parameters": {"TMPDIR": str(tmp_path), "OUTPOST_LEASE_SECONDS": "2"}})
    )
    parameter = f"ConfigFile={tmp_path / 'outpost_config.py'}"
    return ["--parameter", parameter, "--env-vars", str(tmp_path / "variables.json")]


@pytest.fixture(autouse=True)
def _no_servers_left(tmp_path: Path) -> object:
    yield
    for process in servers_in(tmp_path):
        process.kill()


def hub_of(emulator: Emulator) -> HubCalls:
    """Outpost's API."""
    (url,) = emulator.facts["function_urls"].values()
    return HubCalls(url, HUB_NAME, State(emulator.state).secrets.outpost_password)


def test_a_server_outlives_the_emulator_and_is_polled_and_stopped_by_the_next_one(
    tmp_path: Path, emulator: Start, options: list[str]
) -> None:
    running = emulator(TEMPLATE, *options).start()
    with hub_of(running) as hub:
        assert hub.start("lab").status_code == 200
    assert running.stop() == 0
    assert len(servers_in(tmp_path)) == 1
    running.start()
    with hub_of(running) as hub:
        assert hub.poll("lab").json()["status"] is None
        assert hub.stop("lab").status_code == 200
        assert hub.services() == []
    assert servers_in(tmp_path) == []


def test_a_start_whose_message_is_lost_with_the_emulator_is_carried_on_by_the_next_one(
    tmp_path: Path, emulator: Start, options: list[str]
) -> None:
    """Its queues are gone with it."""
    deaf = tmp_path / "deaf.yaml"
    deaf.write_text(TEMPLATE.read_text())
    change(deaf, "    CodeUri: .\n", f"    CodeUri: {ROOT}\n")
    change(deaf, "            BatchSize: 5\n", "            BatchSize: 5\n            Enabled: false\n")
    before = emulator(deaf, *options).start()
    with hub_of(before) as hub:
        assert hub.start("lab", asynchronous=True).status_code == 202
    assert before.stop() == 0
    after = emulator(TEMPLATE, *options).start()
    with hub_of(after) as hub:
        assert [service["status"] for service in hub.services()] == ["pending"]
        eventually(lambda: json.loads(after.tick("RecoverFunction").stdout)["services"], 30, "the tick finds it")
        eventually(lambda: [service["status"] for service in hub.services()] == ["running"], 30, "it runs")
    assert len(servers_in(tmp_path)) == 1


@pytest.mark.parametrize("option", ["", "--no-freeze", "--cold"])
def test_a_killed_emulator_leaves_no_instance_and_the_next_one_works(app: Path, emulator: Start, option: str) -> None:
    running = emulator(app, *filter(None, [option])).start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(running.invoke, "Greeter", {"sleep": 2, "note": str(app.with_name("note"))})
        eventually(app.with_name("note").exists, what="the event is under way")
        running.invoke("Worker", {"Records": []})
        children = running.instances()
        assert len(children) >= 2
        running.process.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert running.start().invoke("Greeter")["greeting"] == "Hello"


def test_events_under_way_are_ended_before_the_emulator_ends(app: Path, emulator: Start) -> None:
    running = emulator(app).start()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.invoke, "Greeter", {"sleep": 2, "note": str(app.with_name("note"))})
        eventually(app.with_name("note").exists, what="the event is under way")
        assert running.stop() == 0
        assert slow.result()["greeting"] == "Hello"
    assert running.servers() == []


def test_asked_a_second_time_the_emulator_ends_at_once(app: Path, emulator: Start) -> None:
    running = emulator(app).start()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.invoke, "Greeter", {"sleep": 19, "note": str(app.with_name("note"))})
        eventually(app.with_name("note").exists, what="the event is under way")
        running.process.signal(signal.SIGTERM)
        eventually(lambda: [each for each in running.events("message") if "under way" in each["text"]])
        assert running.stop() == 0
        assert slow.exception()
    assert running.servers() == []
