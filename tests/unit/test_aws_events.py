"""Events are told apart, and wrong ones are refused in one line that shows nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handlers.aws_events import WrongEvent, check_http, queue_messages, scheduled
from handlers.messages import QueueMessage
from tests.support.aws_events import FORMATS, Sent

SECRET = "a secret of somebody"
RULE = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2030-01-01T00:00:00Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:events:eu-central-1:123456789012:rule/outpost"],
    "detail": {},
}
SCHEDULER = RULE | {
    "source": "aws.scheduler",
    "resources": ["arn:aws:scheduler:eu-central-1:1:schedule/default/x"],
    "detail": "{}",
}
RECORD = {"messageId": "m1", "eventSource": "aws:sqs", "body": '{"service": 7}', "attributes": {}}
REST_API = {"resource": "/", "path": "/", "httpMethod": "GET", "requestContext": {"stage": SECRET}}

WRONG: list[tuple[object, str]] = [
    (None, "a NoneType"),
    ([SECRET], "a list"),
    (SECRET, "a str"),
    ({"b": SECRET, "a": SECRET}, "an event with the keys a, b"),
    ({f"{SECRET}\n": 1}, "an event with the keys ?"),
    ({"Records": [{"eventSource": "aws:s3", "s3": SECRET}]}, "records of aws:s3"),
    ({"Records": [{"EventSource": "aws:sns", "Sns": SECRET}]}, "records of aws:sns"),
    ({"Records": [{"eventSource": f"{SECRET}\n"}]}, "records without a source"),
    ({"Records": [{"body": SECRET}]}, "records without a source"),
    (REST_API, "an HTTP request in this format"),
    ({"version": "1.0", "requestContext": {"http": {}}}, "an HTTP request in this format"),
    ({"version": "2.0", "requestContext": None}, "an HTTP request in this format"),
]


def refused(take: Callable[[Any], object], event: object) -> str:
    """What is said about an event."""
    with pytest.raises(WrongEvent) as caught:
        take(event)
    message = str(caught.value)
    assert SECRET not in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("encode", FORMATS.values(), ids=FORMATS)
def test_http_requests_are_taken_in_each_format(encode: Any) -> None:
    check_http(encode(Sent()))


@pytest.mark.parametrize(("event", "what"), [*WRONG, ({}, "an empty event"), (RULE, "an event with the keys ")])
def test_what_is_no_http_request_is_refused(event: object, what: str) -> None:
    said = refused(check_http, event)
    assert said.startswith("this function takes HTTP requests of an HTTP API (payload format 2.0), a Function URL or ")
    assert f", not {what}" in said


def test_messages_of_the_queue_are_taken() -> None:
    broken = RECORD | {"messageId": "m2", "body": SECRET}
    listed = RECORD | {"messageId": "m3", "body": "[1]"}
    assert queue_messages({"Records": [RECORD, broken, listed]}) == [
        QueueMessage("m1", {"service": 7}),
        QueueMessage("m2", None),
        QueueMessage("m3", None),
    ]


@pytest.mark.parametrize(
    ("event", "what"),
    [
        *WRONG,
        ({}, "an empty event"),
        ({"Records": [RECORD, {"eventSource": "aws:s3"}]}, "records of aws:sqs"),
        ({"Records": [{"eventSource": "aws:sqs", "messageId": "m1"}]}, "records of aws:sqs"),
        ({"Records": [RECORD | {"body": {"service": 1}}]}, "records of aws:sqs"),
    ],
)
def test_what_is_no_message_of_the_queue_is_refused(event: object, what: str) -> None:
    assert refused(queue_messages, event) == f"this function takes messages of its SQS queue, not {what}"


@pytest.mark.parametrize("event", [RULE, SCHEDULER, {}])
def test_a_schedule_has_no_options(event: dict[str, object]) -> None:
    assert scheduled(event) == {}
    assert scheduled(event, "generation") == {}


@pytest.mark.parametrize("event", [{"dry_run": True}, {"dry_run": False}])
def test_a_direct_call_may_be_dry(event: dict[str, object]) -> None:
    assert scheduled(event) == event


def test_the_tunnels_may_be_told_a_generation() -> None:
    assert scheduled({"generation": "2"}, "generation") == {"generation": "2"}


@pytest.mark.parametrize(
    "event",
    [
        {"dry_run": "true"},
        {"dry_run": 1},
        {"dry_run": None},
        {"dry-run": True},
        {"generation": 2},
        {"generation": ""},
        {"generation": "x" * 256},
        {"dry_run": True, "generation": "2"},
        {"generation": "2", "more": SECRET},
    ],
)
def test_a_direct_call_that_only_seems_right_is_refused(event: dict[str, object]) -> None:
    direct = '{"dry_run": true} or {"generation": "..."}'
    said = refused(lambda event: scheduled(event, "generation"), event)
    assert said.startswith(
        f"this function takes scheduled events and direct calls with {direct}, not an event with the keys "
    )


def test_only_the_tunnels_have_a_generation() -> None:
    said = refused(scheduled, {"generation": "2"})
    assert said.startswith('this function takes scheduled events and direct calls with {"dry_run": true}, not ')


@pytest.mark.parametrize(("event", "what"), WRONG)
def test_what_is_neither_scheduled_nor_direct_is_refused(event: object, what: str) -> None:
    assert refused(scheduled, event).endswith(f", not {what}")
