"""What is promised of work that no request waits for, whoever hands it on: a process, SQS or Cloud Tasks."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import ServiceNotFound, StoreUnavailable
from core.flavor_updates import RETRY_SECONDS, FlavorTeller
from core.model import Identity, Service, Status
from handlers.api import create_app
from infra.store import SqlStore
from tests.support import cloud_tasks
from tests.support.aws import Aws
from tests.support.clock import Clock, RunningClock
from tests.support.dispatchers import Deployment, InProcess, OnCloudTasks, OnSqs, until
from tests.support.outpost import ROOT

ENV = {
    "JUPYTERHUB_API_TOKEN": "the-api-token",
    "JUPYTERHUB_USER_ID": "7",
    "JUPYTERHUB_FLAVORS_UPDATE_URL": "https://hub.example/flavors",
    "JUPYTERHUB_FLAVORS_UPDATE_TOKEN": "the-flavor-token",
    "COLOUR": "vermilion",
}
ASYNC = {"execution-type": "async", "auth-state-token": "the-auth-state"}
NOBODYS_BUSINESS = (
    *(value for value in ENV.values() if len(value) > 1),
    *("the-name", "hub1", "the-auth-state", "the-option"),
)


@pytest.fixture
def clock() -> Clock:
    """Cloud Tasks takes nothing that is due in years, so this is its time too."""
    return RunningClock()


@pytest.fixture(params=["in-process", "sqs", "cloudtasks"])
async def deployment(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, environ: MutableMapping[str, str]
) -> AsyncIterator[Deployment]:
    """An Outpost with each dispatcher."""
    if request.param == "in-process":
        made: Deployment = InProcess(tmp_path, environ, clock)
    elif request.param == "sqs":
        aws: Aws = request.getfixturevalue("aws")
        made = OnSqs(tmp_path, environ, clock, aws)
    else:
        tasks = request.getfixturevalue("tasks")
        made = OnCloudTasks(tmp_path, environ, clock, tasks)
    yield made
    await made.close()


@pytest.fixture
def tasks() -> Any:
    """Cloud Tasks, with an empty queue."""
    with cloud_tasks.server() as running:
        yield running


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When hubs are told their flavors: nobody is called."""
    times: list[float] = []

    async def tell(*_: Any) -> bool:
        times.append(time.monotonic())
        return True

    monkeypatch.setattr(FlavorTeller, "tell", tell)
    return times


@pytest.fixture
async def hub(deployment: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    """A hub that calls."""
    login = base64.b64encode(b"hub1:password of hub1").decode()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(deployment.api)),
        base_url="http://outpost",
        headers={"authorization": f"Basic {login}", **ASYNC},
    ) as calls:
        yield calls


async def start(hub: httpx.AsyncClient, name: str = "the-name") -> None:
    """Ask for a server; it is accepted."""
    answer = await hub.post("/services", json={"name": name, "env": ENV, "user_options": {"x": "the-option"}})
    assert (answer.status_code, answer.json()) == (202, {"service": ""})


def status(deployment: Deployment, name: str = "the-name") -> Status | None:
    """What its row says; None when there is none."""
    try:
        return deployment.api.store.find(Identity("hub1", name, "0")).status
    except ServiceNotFound:
        return None


async def test_a_start_and_a_stop_that_nobody_waits_for_are_carried_on(
    deployment: Deployment, hub: httpx.AsyncClient
) -> None:
    for name in ("the-name", "other"):
        await start(hub, name)
    for name in ("the-name", "other"):
        await until(lambda name=name: status(deployment, name) is Status.RUNNING)  # type: ignore[misc]
    assert sorted(deployment.starts()) == ["other", "the-name"]
    assert (await hub.delete("/services/the-name/0")).status_code == 202
    await until(lambda: status(deployment) is None)
    assert status(deployment, "other") is Status.RUNNING


async def test_work_that_fails_is_done_at_another_attempt(
    deployment: Deployment, hub: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, attempts = SqlStore.load, []

    def fails_once(store: SqlStore, service_id: int) -> Service | None:
        attempts.append(service_id)
        if len(attempts) == 1:
            raise StoreUnavailable("the database does not answer")
        return good(store, service_id)

    monkeypatch.setattr(SqlStore, "load", fails_once)
    await start(hub)
    await until(lambda: attempts)
    if not deployment.redelivers:
        await deployment.recover()
    await until(lambda: status(deployment) is Status.RUNNING)
    assert deployment.starts() == ["the-name"]


async def test_a_hub_that_does_not_answer_is_told_its_flavors_after_a_pause(
    deployment: Deployment, hub: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, calls = time.monotonic(), list[bool]()

    async def away_at_first(_: FlavorTeller, update: Any) -> bool:
        assert update.token == "the-flavor-token"
        calls.append(time.monotonic() > began + RETRY_SECONDS[0] * 0.8)
        return calls[-1]

    monkeypatch.setattr(FlavorTeller, "tell", away_at_first)
    await start(hub)
    await until(lambda: True in calls)
    assert 1 <= calls.count(False) <= 2, "once for each change: the start was asked for, the server runs"


async def test_a_process_that_is_killed_between_the_row_and_the_message_costs_a_delay(deployment: Deployment) -> None:
    script = """
import asyncio, base64, httpx, os
from handlers.api import create_app
from infra.settings import read_settings
from infra.wiring import build
from infra.wiring_functions import build_function
queues = {"OUTPOST_QUEUE_URL", "OUTPOST_TASKS_QUEUE"} & os.environ.keys()
outpost = build_function().outpost if queues else build(read_settings())
login = base64.b64encode(b"hub1:password of hub1").decode()
headers = {"authorization": f"Basic {login}", "execution-type": "async"}
async def call():
    transport = httpx.ASGITransport(create_app(outpost))
    async with httpx.AsyncClient(transport=transport, base_url="http://outpost", headers=headers) as hub:
        await hub.post("/services", json={"name": "the-name", "env": {"JUPYTERHUB_USER_ID": "7"}})
asyncio.run(call())
"""
    env = {**deployment.environ, "OUTPOST_FAULT": "start:admitted"}
    ended = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert status(deployment) is Status.PENDING
    assert deployment.messages() == []
    await deployment.recover()
    await until(lambda: status(deployment) is Status.RUNNING)
    assert deployment.starts() == ["the-name"]


async def test_a_queue_that_is_away_keeps_no_start_out_and_costs_a_delay(
    deployment: Deployment, hub: httpx.AsyncClient
) -> None:
    deployment.break_queue()
    for name in ("the-name", "other"):
        await start(hub, name)
    assert [status(deployment, name) for name in ("the-name", "other")] == [Status.PENDING] * 2
    deployment.mend_queue()
    await deployment.recover()
    for name in ("the-name", "other"):
        await until(lambda name=name: status(deployment, name) is Status.RUNNING)  # type: ignore[misc]
    assert sorted(deployment.starts()) == ["other", "the-name"]


async def test_a_stop_while_the_queue_is_away_is_made_up_for(deployment: Deployment, hub: httpx.AsyncClient) -> None:
    await start(hub)
    await until(lambda: status(deployment) is Status.RUNNING)
    deployment.break_queue()
    assert (await hub.delete("/services/the-name/0")).status_code == 202
    assert status(deployment) is Status.STOPPING
    deployment.mend_queue()
    await deployment.recover()
    await until(lambda: status(deployment) is None)


async def test_wake_ups_that_come_twice_start_one_server(deployment: Deployment, hub: httpx.AsyncClient) -> None:
    deployment.deliver_twice()
    await start(hub)
    service_id = deployment.api.store.find(Identity("hub1", "the-name", "0")).id
    await deployment.api.dispatcher.wake([service_id, service_id, service_id])
    await until(lambda: status(deployment) is Status.RUNNING)
    await deployment.api.dispatcher.wake([service_id])
    await start(hub, "last")
    await until(lambda: status(deployment, "last") is Status.RUNNING)
    assert sorted(deployment.starts()) == ["last", "the-name"]


async def test_a_wake_up_for_a_row_that_is_gone_is_done(
    deployment: Deployment, hub: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await deployment.api.dispatcher.wake([4711])
    await start(hub)
    await until(lambda: status(deployment) is Status.RUNNING)
    assert "Traceback" not in caplog.text


async def test_nothing_that_leaves_the_process_tells_a_secret_or_a_user(
    deployment: Deployment, hub: httpx.AsyncClient, told: list[float]
) -> None:
    await start(hub)
    await until(lambda: status(deployment) is Status.RUNNING and told)
    assert (await hub.delete("/services/the-name/0")).status_code == 202
    await until(lambda: status(deployment) is None)
    messages = "\n".join(deployment.messages())
    assert bool(messages) == deployment.redelivers
    assert [word for word in NOBODYS_BUSINESS if word in messages] == []
