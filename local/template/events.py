"""Reads what invokes a function."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from local.template.deployment import HttpRoute, QueueResource, QueueSource, ScheduleSource, Site
from local.template.properties import Properties
from local.template.resources import HTTP_API, IMPLICIT_API, Resources

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY")
_EVERY_METHOD = "X-AMAZON-APIGATEWAY-ANY-METHOD"
_PATH = re.compile(r"/|(/([^/{}\s]+|\{[A-Za-z0-9_.-]+\}))+(/\{[A-Za-z0-9_.-]+\+\}|/)?|/\{[A-Za-z0-9_.-]+\+\}")
_RATE = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9][0-9]* (minutes|hours|days))\)")
_CRON = re.compile(r"cron\(\S+( +\S+){5}\)")
_RULE_STATES = ("ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")

_MAPPING_READ = (
    "Queue",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ScalingConfig",
    "FunctionResponseTypes",
    "Enabled",
)
_MAPPING_IGNORED = ("KmsKeyArn", "MetricsConfig")
# Whether EventBridge can hand an event over at all; on one machine it always can.
_DELIVERY = ("DeadLetterConfig", "Description", "RetryPolicy")
_SCHEDULER_READ = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Input",
    "State",
    "Name",
    "OmitName",
    "GroupName",
)


def read_route(resources: Resources, function: str, properties: Properties, place: str) -> HttpRoute:
    """An ``HttpApi`` event. Raises ``Wrong``, as all functions here."""
    properties.allow(("Path", "Method", "ApiId", "TimeoutInMillis", "PayloadFormatVersion"))
    properties.choice("PayloadFormatVersion", "2.0", ("2.0",))
    path, method = properties.text("Path"), properties.text("Method")
    if not path and not method:
        path, method = "$default", "ANY"
    if not path or not method:
        raise properties.wrong("Path", "and Method must both be set, or neither for all requests")
    method = "ANY" if method.upper() == _EVERY_METHOD else method.upper()
    if method not in _METHODS:
        raise properties.wrong("Method", f"is {method!r}, and must be one of {', '.join(_METHODS)}")
    if path != "$default" and not _PATH.fullmatch(path):
        raise properties.wrong("Path", f"is {path!r}, and must be such as /servers/{{name}} or /files/{{rest+}}")
    if path == "$default" and method != "ANY":
        raise properties.wrong("Method", "must be ANY with the path $default")
    timeout = properties.integer("TimeoutInMillis", 30000, 50, 30000) / 1000
    return HttpRoute(_api(resources, function, properties), method, path, timeout, place)


def _api(resources: Resources, function: str, properties: Properties) -> str:
    api_id = properties.text("ApiId")
    if api_id is None:
        return IMPLICIT_API
    for logical_id in resources.of_type(HTTP_API):
        if resources.api_id(logical_id) == api_id:
            resources.need(logical_id, function, properties.line_of("ApiId"))
            return logical_id
    raise properties.wrong("ApiId", f"is {api_id!r}, and must be !Ref to an {HTTP_API} in this template")


def read_queue_source(
    resources: Resources, logical_id: str, properties: Properties, queues: Mapping[str, QueueResource], place: str
) -> QueueSource:
    """An ``SQS`` event."""
    properties.allow(_MAPPING_READ, _MAPPING_IGNORED)
    arn = properties.required("Queue", "!GetAtt Queue.Arn")
    queue = resources.queue_with(arn)
    if queue is None or queue not in queues:
        raise properties.wrong("Queue", f"is {arn!r}, and must be the ARN of a queue in this template")
    window = properties.integer("MaximumBatchingWindowInSeconds", 0, 0, 300)
    batch_size = properties.integer("BatchSize", 10, 1, 10000)
    if batch_size > 10 and window < 1:
        raise properties.wrong("BatchSize", "above 10 needs a MaximumBatchingWindowInSeconds of at least 1")
    types = properties.texts("FunctionResponseTypes")
    if set(types) - {"ReportBatchItemFailures"}:
        raise properties.wrong("FunctionResponseTypes", "may hold ReportBatchItemFailures only")
    scaling = properties.group("ScalingConfig")
    if scaling is not None:
        scaling.allow(("MaximumConcurrency",))
    return QueueSource(
        logical_id=logical_id,
        queue=queue,
        batch_size=batch_size,
        batching_window_seconds=window,
        max_concurrency=None if scaling is None else scaling.optional_integer("MaximumConcurrency", 2, 1000),
        reports_item_failures=bool(types),
        enabled=properties.flag("Enabled", True),
        place=place,
    )


def read_rule(resources: Resources, logical_id: str, properties: Properties, site: Site, place: str) -> ScheduleSource:
    """A ``Schedule`` event: a rule of EventBridge."""
    properties.allow(("Schedule", "Input", "State", "Enabled", "Name"), _DELIVERY)
    if properties.has("State") and properties.has("Enabled"):
        raise properties.wrong("Enabled", "may not be set beside State")
    state = properties.choice("State", "ENABLED", _RULE_STATES)
    return ScheduleSource(
        logical_id=logical_id,
        arn=site.arn("events", f"rule/{properties.text('Name') or resources.made_up(logical_id)}"),
        expression=_expression(properties, "Schedule"),
        timezone="UTC",
        input=_input(properties),
        enabled=state != "DISABLED" and properties.flag("Enabled", True),
        by_scheduler=False,
        place=place,
    )


def read_schedule(
    resources: Resources, logical_id: str, properties: Properties, site: Site, place: str
) -> ScheduleSource:
    """A ``ScheduleV2`` event: a schedule of EventBridge Scheduler."""
    properties.allow(_SCHEDULER_READ, (*_DELIVERY, "KmsKeyArn", "PermissionsBoundary", "RoleArn"))
    window = properties.group("FlexibleTimeWindow")
    if window is not None:
        window.allow(("Mode",))
        window.choice("Mode", "OFF", ("OFF",))
    omitted = properties.flag("OmitName", False)
    if omitted and properties.has("Name"):
        raise properties.wrong("Name", "may not be set beside OmitName")
    name = properties.text("Name") or (resources.made_up(logical_id) if omitted else logical_id)
    return ScheduleSource(
        logical_id=logical_id,
        arn=site.arn("scheduler", f"schedule/{properties.text('GroupName') or 'default'}/{name}"),
        expression=_expression(properties, "ScheduleExpression"),
        timezone=_timezone(properties),
        input=_input(properties),
        enabled=properties.choice("State", "ENABLED", ("ENABLED", "DISABLED")) == "ENABLED",
        by_scheduler=True,
        place=place,
    )


def _expression(properties: Properties, name: str) -> str:
    expression = properties.required(name, "rate(5 minutes)")
    if not _RATE.fullmatch(expression) and not _CRON.fullmatch(expression):
        right = "rate(1 minute), rate(5 minutes) or the like, or cron() with six fields"
        raise properties.wrong(name, f"is {expression!r}, and must be {right}")
    return expression


def _timezone(properties: Properties) -> str:
    timezone = properties.text("ScheduleExpressionTimezone") or "UTC"
    try:
        ZoneInfo(timezone)
    except (OSError, ValueError, LookupError):
        message = f"is {timezone!r}, and must be such as Europe/Berlin"
        raise properties.wrong("ScheduleExpressionTimezone", message) from None
    return timezone


def _input(properties: Properties) -> str | None:
    text = properties.text("Input")
    if text is not None:
        try:
            json.loads(text)
        except ValueError:
            raise properties.wrong("Input", "must be JSON") from None
    return text
