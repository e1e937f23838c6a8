"""An event source mapping: messages of an SQS queue become events of a function."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.aws.function import Function, Throttled
from local.aws.instance import REGION
from local.aws.runtime_api import Answer

log = logging.getLogger(__name__)

Message = dict[str, Any]

_WAIT_SECONDS = 1
_PAUSE_SECONDS = 0.2


class QueueMapping:
    """Polls a queue and invokes a function, in threads of this process.

    A message is deleted when its event was handled. One that failed, alone (ReportBatchItemFailures) or with its
    whole event, is left: it is seen again when the queue's visibility timeout has passed.
    """

    def __init__(self, sqs: Any, queue_url: str, function: Function, *, batch_size: int = 1, most: int = 5) -> None:
        """``sqs`` is a boto3 client; ``most`` events are handled at once."""
        self._sqs = sqs
        self._queue_url = queue_url
        self._function = function
        self._batch_size = batch_size
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
            messages = self._receive()
            with self._handing_out:
                if messages and not self._ending.is_set():
                    self._pool.submit(self._handle, messages)
                    continue
            self._free.release()
            self._return(messages)

    def _return(self, messages: list[Message]) -> None:
        """Let others see at once what nobody here will handle."""
        with suppress(BotoCoreError, ClientError):
            for message in messages:
                self._sqs.change_message_visibility(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )

    def _receive(self) -> list[Message]:
        try:
            received = self._sqs.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=self._batch_size,
                WaitTimeSeconds=_WAIT_SECONDS,
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
        try:
            answer = self._function.invoke({"Records": [self._record(message) for message in messages]})
            failed = failed_ids(answer, [message["MessageId"] for message in messages])
            for message in messages:
                if message["MessageId"] not in failed:
                    self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        except Throttled:
            log.info("%s is throttled; its messages come again", self._function.definition.name)
        except (BotoCoreError, ClientError) as error:
            log.warning("messages could not be deleted and come again: %s", error)
        finally:
            self._free.release()

    def _record(self, message: Message) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": hashlib.md5(message["Body"].encode(), usedforsecurity=False).hexdigest(),
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": REGION,
        }


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
