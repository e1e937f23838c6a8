"""Messages reach functions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.aws.fork_server import ForkServer
from local.aws.function import Function
from local.aws.queue_mapping import QueueMapping, failed_ids
from local.aws.records import Record
from local.aws.runtime_api import Answer
from tests.functions.conftest import Deploy, noted
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

    def new(function: Function, **options: Any) -> QueueMapping:
        made.append(QueueMapping(sqs, queue, function, **options))
        made[-1].start()
        return made[-1]

    yield new
    for mapping in made:
        mapping.close()


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


def test_a_function_that_reports_nothing_item_by_item_has_handled_all_or_nothing(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    """GIVEN no ReportBatchItemFailures WHEN a function names failures all the same THEN nobody reads it."""
    sqs.send_message(QueueUrl=queue, MessageBody="bad")
    mapped(noting, reports_item_failures=False)
    eventually(lambda: noted(tmp_path)["bad"] == 1)
    eventually(lambda: left(sqs, queue) == 0)


def test_a_message_that_failed_too_often_goes_to_the_dead_letter_queue(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    """GIVEN a redrive policy WHEN a message fails twice THEN it lies in the other queue, and is not tried again."""
    dead = sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=queue, MessageBody="all")
    mapped(noting)
    eventually(lambda: left(sqs, dead) == 1)
    assert left(sqs, queue) == 0
    assert noted(tmp_path)["all"] == 2
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "all"


def test_a_window_gathers_more_messages_than_one_call_hands_out(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})
    for n in range(15):
        sqs.send_message(QueueUrl=queue, MessageBody=f"{n}")
    events: list[Record] = []
    noting.observe = events.append
    mapped(noting, batch_size=15, window_seconds=60)
    eventually(lambda: left(sqs, queue) == 0)
    assert [event.source.what for event in events] == ["15 messages"]
    assert noted(tmp_path).total() == 15


def test_a_window_that_ends_hands_over_what_there_is(
    sqs: Any, queue: str, mapped: Map, noting: Function, tmp_path: Path
) -> None:
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    mapped(noting, batch_size=15, window_seconds=1)
    eventually(lambda: left(sqs, queue) == 0)
    assert noted(tmp_path) == {"one": 1}


def test_messages_that_are_too_much_for_one_event_become_several(
    sqs: Any, queue: str, mapped: Map, noting: Function
) -> None:
    """GIVEN a batch of more than 6 MB WHEN it is handed over THEN each half is an event."""
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})
    for _ in range(30):
        sqs.send_message(QueueUrl=queue, MessageBody="x" * 250_000)
    events: list[Record] = []
    noting.observe = events.append
    mapped(noting, batch_size=30, window_seconds=60)
    eventually(lambda: left(sqs, queue) == 0)
    assert [event.source.what for event in events] == ["15 messages", "15 messages"]


def test_messages_that_cannot_be_handled_are_told_with_their_functions_name_and_come_again(
    sqs: Any, queue: str, mapped: Map, deploy: Deploy, dead_fork_server: ForkServer, caplog: pytest.LogCaptureFixture
) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    mapped(deploy("handlers.about", {"name": "unlucky", "fork_server": dead_fork_server}))
    said = "messages of unlucky were not handled and come again: RuntimeError: the fork server does not fork"
    eventually(lambda: len([line for line in caplog.messages if line.startswith(said)]) > 1, what="it is told, twice")
    assert left(sqs, queue) == 1


def test_messages_whose_function_is_too_busy_come_again(
    sqs: Any, queue: str, mapped: Map, deploy: Deploy, tmp_path: Path, records: list[Record]
) -> None:
    """GIVEN one instance, which is busy WHEN a second message comes THEN it waits in the queue until it is its turn."""
    environment = {"NOTES": str(tmp_path)}
    definition = {"environment": environment, "timeout": 60, "concurrency": 1}
    function = deploy("handlers.blocked", definition, observer=records.append)
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    mapped(function, most=2)
    eventually(lambda: list(tmp_path.glob("began-*")), 60)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "60"})
    sqs.send_message(QueueUrl=queue, MessageBody="y")
    eventually(lambda: "throttled" in [record.status for record in records])
    assert left(sqs, queue) == 2
    (tmp_path / "go").touch()


def test_a_message_arrives_as_lambda_hands_it_over(
    sqs: Any, queue: str, mapped: Map, deploy: Deploy, tmp_path: Path
) -> None:
    function = deploy("handlers.keeping", {"environment": {"NOTES": str(tmp_path / "event")}})
    attributes = {
        "colour": {"DataType": "String", "StringValue": "blue"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\xff"},
    }
    sent = sqs.send_message(QueueUrl=queue, MessageBody="ü", MessageAttributes=attributes)
    mapped(function)
    eventually(lambda: left(sqs, queue) == 0)
    (record,) = json.loads((tmp_path / "event").read_text())["Records"]
    assert record["messageId"] == sent["MessageId"]
    assert (record["body"], record["md5OfBody"]) == ("ü", sent["MD5OfMessageBody"])
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].startswith("arn:aws:sqs:eu-central-1:")
    assert {"ApproximateReceiveCount", "SentTimestamp", "SenderId"} <= record["attributes"].keys()
    assert record["messageAttributes"] == {
        "colour": {"dataType": "String", "stringValue": "blue", "stringListValues": [], "binaryListValues": []},
        "raw": {"dataType": "Binary", "binaryValue": "/w==", "stringListValues": [], "binaryListValues": []},
    }


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
