"""An event source mapping: messages of an SQS queue become events of a function."""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws.function import Function, PayloadTooLarge, Throttled
from local.aws.records import Source
from local.aws.runtime_api import Answer
from local.aws.sqs_events import Message, sqs_event

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 5
"""So many batches Lambda handles at once before it scales up, which this does not."""

_WAIT_SECONDS = 1
_PAUSE_SECONDS = 0.2
_MOST_AT_ONCE = 10
"""SQS hands out and deletes no more."""
_MOST_BYTES = 6_000_000
"""A batch of more is handed to the function before it is full."""


class QueueMapping:
    """Polls a queue and invokes a function, in threads of this process.

    A message is deleted when its event was handled. One that failed, alone (ReportBatchItemFailures) or with its
    whole event, is left: it is seen again when the queue's visibility timeout has passed. So is one whose event the
    function was too busy to take.
    """

    def __init__(
        self,
        sqs: Any,
        queue_url: str,
        function: Function,
        *,
        batch_size: int = 1,
        window_seconds: float = 0,
        most: int = DEFAULT_CONCURRENCY,
        reports_item_failures: bool = True,
    ) -> None:
        """``sqs`` is a boto3 client; ``most`` events are handled at once.

        A batch is handed over when it is full, or ``window_seconds`` after its first message; with 0 at once.
        """
        self._sqs = sqs
        self._queue_url = queue_url
        self._function = function
        self._batch_size = batch_size
        self._window_seconds = window_seconds
        self._reports_item_failures = reports_item_failures
        self._free = threading.Semaphore(most)
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="queue")
        self._ending = threading.Event()
        self._handing_out = threading.Lock()
        self._arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def close(self) -> None:
        """Hand out no more messages; events under way go on to their end."""
        with self._handing_out:
            self._ending.set()
            self._pool.shutdown(wait=False)

    def join(self) -> None:
        """After ``close()``: wait until no poll is under way, and messages that it got are back in the queue."""
        self._thread.join()

    def _poll(self) -> None:
        while not self._ending.is_set():
            if not self._free.acquire(timeout=_PAUSE_SECONDS):
                continue
            messages = self._batch()
            with self._handing_out:
                if messages and not self._ending.is_set():
                    self._pool.submit(self._handle, messages)
                    continue
            self._free.release()
            self._return(messages)

    def _batch(self) -> list[Message]:
        """The messages of one event; none when the queue has been empty for a while."""
        messages = self._receive(_WAIT_SECONDS)
        closes = time.monotonic() + self._window_seconds
        while messages and not self._is_full(messages) and not self._ending.is_set():
            left = closes - time.monotonic()
            if left <= 0:
                break
            messages += self._receive(min(_WAIT_SECONDS, math.ceil(left)), self._batch_size - len(messages))
        return messages

    def _is_full(self, messages: list[Message]) -> bool:
        size = sum(len(message["Body"]) for message in messages)
        return len(messages) >= self._batch_size or size >= _MOST_BYTES

    def _return(self, messages: list[Message]) -> None:
        """Let others see at once what nobody here will handle."""
        with suppress(BotoCoreError, ClientError):
            for message in messages:
                self._sqs.change_message_visibility(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )

    def _receive(self, wait_seconds: int, most: int = _MOST_AT_ONCE) -> list[Message]:
        try:
            received = self._sqs.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=min(most, self._batch_size, _MOST_AT_ONCE),
                WaitTimeSeconds=wait_seconds,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("the queue cannot be polled: %s", error)
            self._ending.wait(_PAUSE_SECONDS)
            return []
        messages: list[Message] = received.get("Messages", [])
        return messages

    def _handle(self, messages: list[Message]) -> None:
        name = self._function.definition.name
        try:
            self._invoke(messages)
        except Throttled:
            log.info("%s is throttled; its messages come again", name)
        except (BotoCoreError, ClientError) as error:
            log.warning("messages of %s could not be deleted and come again: %s", name, error)
        except Exception as error:  # noqa: BLE001  # nobody waits for it, so nobody else would tell
            log.error("messages of %s were not handled and come again: %s: %s", name, type(error).__name__, error)
        finally:
            self._free.release()

    def _invoke(self, messages: list[Message]) -> None:
        """With one event, or, when that is too large, with one for each half, as Lambda's batches end at 6 MB."""
        what = "1 message" if len(messages) == 1 else f"{len(messages)} messages"
        try:
            answer = self._function.invoke(sqs_event(messages, self._arn), Source("sqs", what))
        except PayloadTooLarge:
            if len(messages) == 1:
                raise
            half = len(messages) // 2
            self._invoke(messages[:half])
            self._invoke(messages[half:])
            return
        failed = self._failed(answer, [message["MessageId"] for message in messages])
        self._delete([message for message in messages if message["MessageId"] not in failed])

    def _failed(self, answer: Answer, ids: list[str]) -> set[str]:
        if self._reports_item_failures:
            return failed_ids(answer, ids)
        return set(ids) if answer.error else set()

    def _delete(self, messages: list[Message]) -> None:
        for first in range(0, len(messages), _MOST_AT_ONCE):
            some = messages[first : first + _MOST_AT_ONCE]
            entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(some)]
            answer = self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
            for failure in answer.get("Failed", []):
                log.warning("a message could not be deleted and comes again: %s", failure.get("Message"))


def failed_ids(answer: Answer, ids: list[str]) -> set[str]:
    """Which messages a function could not handle, by Lambda's rules: a report it cannot read fails them all."""
    everything = set(ids)
    if answer.error:
        return everything
    try:
        failures = (answer.json() or {}).get("batchItemFailures") or []
        named = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, AttributeError, TypeError, KeyError):
        return everything
    return named if named <= everything else everything
