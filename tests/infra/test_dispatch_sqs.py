"""The worker's queue: what is in its messages, and what is not."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager

import httpx
import pytest
from cryptography.fernet import Fernet

from core.background import Background
from core.errors import Unreadable
from core.flavor_updates import RETRY_SECONDS, FlavorUpdate
from core.model import Identity, Status
from handlers.api import create_app
from infra.crypto import Sealer
from infra.dispatch_queue import QueueDispatcher, QueueUpdates
from infra.dispatch_sqs import SqsQueue
from infra.schema import migrate
from infra.wiring_functions import FunctionOutpost, build_function
from tests.support.aws import Aws, calls_of, forget_clients
from tests.support.clock import Clock

UPDATE = FlavorUpdate("hub1", "https://hub.example/flavors", "the-flavor-token", "CA")
ENV = {
    "JUPYTERHUB_API_TOKEN": "the-api-token",
    "JUPYTERHUB_USER_ID": "7",
    "JUPYTERHUB_FLAVORS_UPDATE_URL": "https://hub.example/flavors",
    "JUPYTERHUB_FLAVORS_UPDATE_TOKEN": "the-flavor-token",
    "COLOUR": "vermilion",
}
NOBODYS_BUSINESS = (*ENV.values(), "the-name", "hub1", "the-auth-state", "the-misc")


@asynccontextmanager
async def hub(function: FunctionOutpost) -> AsyncIterator[httpx.AsyncClient]:
    """A hub that calls this function's API."""
    migrate(function.outpost.database, function.outpost.settings.sealer())
    app = httpx.ASGITransport(create_app(function.outpost))
    login = base64.b64encode(b"hub1:password of hub1").decode()
    async with httpx.AsyncClient(
        transport=app, base_url="http://outpost", headers={"authorization": f"Basic {login}"}
    ) as calls:
        yield calls


def start_body(name: str) -> dict[str, object]:
    """What a hub sends."""
    return {"name": name, "env": ENV, "user_options": {"x": "vermilion"}, "misc": {"y": "the-misc"}}


async def test_a_message_holds_a_rows_id_or_something_sealed_and_nothing_else(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str]
) -> None:
    environ["OUTPOST_QUEUE_URL"] = url = aws.queue()
    function = build_function(clock)
    async with hub(function) as calls:
        for number in range(3):
            answer = await calls.post(
                "/services",
                json=start_body(f"the-name-{number}"),
                headers={"execution-type": "async", "auth-state-token": "the-auth-state"},
            )
            assert (answer.status_code, answer.json()) == (202, {"service": ""})
        stopped = await calls.delete("/services/the-name-1/0", headers={"execution-type": "async"})
        assert stopped.status_code == 202
    await function.outpost.messages.drain(10)
    bodies = aws.messages(url)
    ids = [function.outpost.store.find(Identity("hub1", f"the-name-{number}", "0")).id for number in range(3)]
    messages = [json.loads(body) for body in bodies]
    assert {message["service"] for message in messages if "service" in message} == set(ids)
    flavors = [message for message in messages if "flavors" in message]
    assert flavors
    for message in messages:
        assert message.keys() in ({"service"}, {"flavors", "attempt"})
    for message in flavors:
        assert function.updates.opened(message["flavors"]).token == "the-flavor-token"
        message["flavors"] = "sealed"
    readable = json.dumps(messages)
    assert [word for word in NOBODYS_BUSINESS if len(word) > 1 and word in readable] == []


async def test_25_rows_go_with_three_calls(aws: Aws, environ: MutableMapping[str, str]) -> None:
    url, calls = aws.queue(), calls_of("sqs")
    await QueueDispatcher(SqsQueue(url)).wake(range(100, 125))
    assert [len(call.params["Entries"]) for call in calls] == [10, 10, 5]
    assert sorted(aws.messages(url)) == [json.dumps({"service": number}) for number in range(100, 125)]


async def test_nothing_to_wake_calls_nobody(aws: Aws) -> None:
    calls = calls_of("sqs")
    await QueueDispatcher(SqsQueue("http://127.0.0.1:1/queue")).wake([])
    assert calls == []


@pytest.mark.parametrize("trouble", ["there is no such queue", "nobody listens"])
async def test_a_start_is_accepted_while_the_queue_is_away(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str], caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    environ["OUTPOST_QUEUE_URL"] = f"{aws.url}/123456789012/no-such-queue"
    if trouble == "nobody listens":
        environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
        environ["OUTPOST_QUEUE_URL"] = "http://127.0.0.1:1/123456789012/worker"
        forget_clients()
    function = build_function(clock)
    logging.getLogger().addHandler(caplog.handler)
    async with hub(function) as calls:
        answer = await calls.post("/services", json=start_body("the-name"), headers={"execution-type": "async"})
    assert (answer.status_code, answer.json()) == (202, {"service": ""})
    assert function.outpost.store.find(Identity("hub1", "the-name", "0")).status is Status.PENDING
    await function.outpost.messages.drain(20)
    assert "the worker's queue takes no messages: " in caplog.text
    for secret in ("the-api-token", "the-flavor-token", "the-misc"):
        assert secret not in caplog.text


async def test_messages_that_sqs_refuses_one_by_one_are_logged(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    url = aws.queue()
    too_late = 901
    await SqsQueue(url).send([{"service": 1}], delay=too_late)
    assert "the worker's queue " in caplog.text
    assert aws.messages(url) == []


@pytest.fixture
def updates(aws: Aws) -> QueueUpdates:
    """Updates whose messages go to a queue."""
    return QueueUpdates(SqsQueue(aws.queue("updates")), Sealer(Fernet.generate_key().decode()), Background())


async def test_a_hub_that_does_not_answer_is_tried_again_after_longer_and_longer_pauses(
    aws: Aws, updates: QueueUpdates, caplog: pytest.LogCaptureFixture
) -> None:
    calls = calls_of("sqs")
    for attempt in range(1, 10):
        await updates.again(UPDATE, attempt)
    entries = [entry for call in calls for entry in call.params["Entries"]]
    assert tuple(entry["DelaySeconds"] for entry in entries) == RETRY_SECONDS
    assert [json.loads(entry["MessageBody"])["attempt"] for entry in entries] == [1, 2, 3, 4, 5]
    assert "hub hub1 - its flavors could not be updated; the next change tries again" in caplog.text
    assert "the-flavor-token" not in caplog.text


async def test_a_delayed_message_is_not_seen_before_its_time(aws: Aws, updates: QueueUpdates) -> None:
    await updates.again(UPDATE, len(RETRY_SECONDS))
    url = aws.queue("updates")
    assert aws.messages(url) == []
    asked = ["ApproximateNumberOfMessagesDelayed"]
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"]
    assert attributes == {asked[0]: "1"}


async def test_an_update_comes_out_of_its_message_as_it_went_in(aws: Aws) -> None:
    key, background = Fernet.generate_key().decode(), Background()
    queue = SqsQueue(aws.queue())
    QueueUpdates(queue, Sealer(key), background).changed(UPDATE)
    await background.drain(10)
    (body,) = aws.messages(aws.queue())
    message = json.loads(body)
    assert message["attempt"] == 0
    in_the_worker = QueueUpdates(queue, Sealer(f"{Fernet.generate_key().decode()};{key}"), background)
    assert in_the_worker.opened(message["flavors"]) == UPDATE
    stranger = QueueUpdates(queue, Sealer(Fernet.generate_key().decode()), background)
    with pytest.raises(Unreadable):
        stranger.opened(message["flavors"])
