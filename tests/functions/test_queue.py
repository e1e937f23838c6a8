"""Messages and schedules reach functions."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.aws.function import Function
from local.aws.queue_mapping import QueueMapping, failed_ids
from local.aws.runtime_api import Answer
from tests.functions.conftest import Deploy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

Map = Callable[..., QueueMapping]


@pytest.fixture
def queue(sqs: Any) -> str:
    """A queue whose messages are seen again after a second."""
    made = sqs.create_queue(QueueName=uuid.uuid4().hex, Attributes={"VisibilityTimeout": "1"})
    url: str = made["QueueUrl"]
    return url


@pytest.fixture
def mapped(sqs: Any, queue: str) -> Iterator[Map]:
    """Map the queue to a function."""
    made: list[QueueMapping] = []

    def new(function: Function, **options: int) -> QueueMapping:
        made.append(QueueMapping(sqs, queue, function, **options))
        made[-1].start()
        return made[-1]

    yield new
    for mapping in made:
        mapping.close()


@pytest.fixture
def noting(deploy: Deploy, tmp_path: Path) -> Function:
    """A function that writes down what it gets."""
    return deploy("handlers.noting", {"environment": {"NOTES": str(tmp_path / "notes")}})


def noted(folder: Path) -> Counter[str]:
    """What has been written down, and how often."""
    notes = folder / "notes"
    return Counter(notes.read_text().splitlines()) if notes.exists() else Counter()


def left(sqs: Any, queue: str) -> int:
    """How many messages there are, seen or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_what_was_handled_is_deleted_and_what_failed_comes_again(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    entries = [{"Id": body, "MessageBody": body} for body in ("one", "bad", "two")]
    sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    mapped(noting, batch_size=10)
    eventually(lambda: noted(tmp_path)["bad"] >= 3)
    assert (noted(tmp_path)["one"], noted(tmp_path)["two"]) == (1, 1)
    eventually(lambda: left(sqs, queue) == 1)


def test_of_an_event_that_failed_every_message_comes_again(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="all")
    mapped(noting)
    eventually(lambda: noted(tmp_path)["all"] >= 2)
    assert left(sqs, queue) == 1


def test_messages_are_handled_at_once_up_to_the_bound(
    sqs: Any, queue: str, mapped: Map, deploy: Deploy, tmp_path: Path
) -> None:
    function = deploy("handlers.blocked", {"environment": {"NOTES": str(tmp_path)}, "timeout": 60})
    for _ in range(5):
        sqs.send_message(QueueUrl=queue, MessageBody="x")
    mapped(function, most=2)
    eventually(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    assert len(function.pids) == 2
    (tmp_path / "go").touch()
    eventually(lambda: left(sqs, queue) == 0)
    assert len(list(tmp_path.glob("began-*"))) == 2


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (Answer(b"null"), set()),
        (Answer(b"{}"), set()),
        (Answer(b'{"batchItemFailures": []}'), set()),
        (Answer(b'{"batchItemFailures": [{"itemIdentifier": "b"}]}'), {"b"}),
        (Answer(b'{"batchItemFailures": [{"itemIdentifier": "x"}]}'), {"a", "b"}),
        (Answer(b'{"batchItemFailures": [{"id": "a"}]}'), {"a", "b"}),
        (Answer(b'"text"'), {"a", "b"}),
        (Answer(b"{}", "Unhandled"), {"a", "b"}),
    ],
)
def test_a_report_of_failures_is_read_by_lambdas_rules(answer: Answer, failed: set[str]) -> None:
    assert failed_ids(answer, ["a", "b"]) == failed
