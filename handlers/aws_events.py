"""The events that AWS hands to functions, told apart."""

from __future__ import annotations

import re
from typing import Any

from handlers.messages import QueueMessage, json_object, options_fit

Event = dict[str, Any]

_WORD = re.compile(r"[\w:.-]{1,40}")


class WrongEvent(Exception):
    """An event of a kind that the function does not take; the message says which kinds it takes."""


def is_format_2(event: object) -> bool:
    """Is it an HTTP request of an HTTP API or a Function URL?"""
    return isinstance(event, dict) and event.get("version") == "2.0" and "http" in _request_context(event)


def is_load_balancers(event: object) -> bool:
    """Is it an HTTP request of an Application Load Balancer?"""
    return isinstance(event, dict) and "elb" in _request_context(event)


def _request_context(event: Event) -> Event:
    context = event.get("requestContext")
    return context if isinstance(context, dict) else {}


def check_http(event: object) -> None:
    """Raises ``WrongEvent`` unless it is an HTTP request."""
    if not is_format_2(event) and not is_load_balancers(event):
        raise WrongEvent(
            f"this function takes HTTP requests of an HTTP API (payload format 2.0), a Function URL or an "
            f"Application Load Balancer, not {_described(event)}"
        )


def queue_messages(event: object) -> list[QueueMessage]:
    """The messages in an SQS event. Raises ``WrongEvent``."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not all(_is_sqs(record) for record in records):
        raise WrongEvent(f"this function takes messages of its SQS queue, not {_described(event)}")
    return [QueueMessage(record["messageId"], json_object(record["body"])) for record in records]


def _is_sqs(record: object) -> bool:
    return (
        isinstance(record, dict)
        and record.get("eventSource") == "aws:sqs"
        and isinstance(record.get("messageId"), str)
        and isinstance(record.get("body"), str)
    )


def scheduled(event: object, *options: str) -> Event:
    """The option of a scheduled or direct call: ``dry_run``, a bool, or one of those named, a text.

    Raises ``WrongEvent``.
    """
    if isinstance(event, dict):
        if event.get("detail-type") == "Scheduled Event":
            return {}
        if event.keys() <= {"dry_run", *options} and len(event) <= 1 and options_fit(event):
            return event
    direct = " or ".join(['{"dry_run": true}', *(f'{{"{option}": "..."}}' for option in options)])
    raise WrongEvent(f"this function takes scheduled events and direct calls with {direct}, not {_described(event)}")


def _described(event: object) -> str:
    """What an event is, without anything of its contents."""
    if not isinstance(event, dict):
        return f"a {type(event).__name__}"
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        source = records[0].get("eventSource") or records[0].get("EventSource")
        return f"records of {source}" if isinstance(source, str) and _is_word(source) else "records without a source"
    if "requestContext" in event:
        return "an HTTP request in this format"
    keys = sorted(str(key) if _is_word(str(key)) else "?" for key in event)[:5]
    return f"an event with the keys {', '.join(keys)}" if keys else "an empty event"


def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None
