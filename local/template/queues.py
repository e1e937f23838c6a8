"""Reads queues."""

from __future__ import annotations

from local.template.deployment import QueueResource
from local.template.properties import Properties
from local.template.resources import QUEUE, Resource, Resources

_READ = (
    "QueueName",
    "VisibilityTimeout",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "RedrivePolicy",
    "FifoQueue",
)
# Encryption, permissions, labels, and how long a receive waits, which the pollers say themselves.
_IGNORED = (
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
    "Tags",
)


def read_queues(resources: Resources, file: str) -> dict[str, QueueResource]:
    """All of them. Raises ``Wrong``."""
    queues: dict[str, QueueResource] = {}
    for logical_id, resource in resources.of_type(QUEUE).items():
        with resources.read_for(logical_id):
            queue = _read(resources, resource, file)
        if same := next((other for other in queues.values() if other.name == queue.name), None):
            wrong = resources.properties(resource).wrong(
                "QueueName", f"is {queue.name!r}, as that of {same.logical_id}"
            )
            raise wrong
        queues[logical_id] = queue
    return queues


def _read(resources: Resources, resource: Resource, file: str) -> QueueResource:
    properties = resources.properties(resource)
    properties.allow(_READ, _IGNORED)
    if properties.flag("FifoQueue", False):
        raise properties.wrong("FifoQueue", "is not supported; leave it out")
    dead_letter_queue, max_receive_count = _redrive(resources, properties)
    return QueueResource(
        logical_id=resource.logical_id,
        name=resources.name(resource),
        arn=resources.queue_arn(resource),
        url=resources.queue_url(resource),
        visibility_seconds=properties.integer("VisibilityTimeout", 30, 0, 43200),
        retention_seconds=properties.integer("MessageRetentionPeriod", 345600, 60, 1209600),
        delay_seconds=properties.integer("DelaySeconds", 0, 0, 900),
        dead_letter_queue=dead_letter_queue,
        max_receive_count=max_receive_count,
        place=f"{file}:{resource.line}",
    )


def _redrive(resources: Resources, properties: Properties) -> tuple[str | None, int | None]:
    redrive = properties.group("RedrivePolicy")
    if redrive is None:
        return None, None
    redrive.allow(("deadLetterTargetArn", "maxReceiveCount"))
    arn = redrive.required("deadLetterTargetArn", "!GetAtt DeadLetterQueue.Arn")
    count = redrive.optional_integer("maxReceiveCount", 1, 1000)
    if count is None:
        raise redrive.wrong("maxReceiveCount", "must be set, for example to 5")
    queue = resources.queue_with(arn)
    if queue is None:
        raise redrive.wrong("deadLetterTargetArn", f"is {arn!r}, and must be the ARN of a queue in this template")
    return queue, count
