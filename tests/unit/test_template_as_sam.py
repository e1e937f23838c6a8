"""A template deploys on one machine what AWS's SAM translator makes of it for CloudFormation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.plugins.globals.globals import GlobalProperties

from local.template import Deployment, FunctionResource, Site, read_deployment
from local.template.document import Node
from local.template.merging import Globals
from tests.support.sam_translator import Stack
from tests.support.templates import GROWN

ROOT = Path(__file__).parents[2]
SITE = Site(endpoint_url="http://127.0.0.1:4566", region="eu-west-1", stack_name="hub")
NEEDED = {"OutpostSecrets": "outpost/config", "SecretArns": "arn:aws:secretsmanager:a,arn:b", "SqlHost": "db.example"}
OTHER = {
    "ApiConcurrency": "7",
    "Architecture": "x86_64",
    "EksCluster": "lab",
    "ExpireRate": "off",
    "MemorySize": "2048",
    "RecoverRate": "cron(0/5 * * * ? *)",
    "ReserveForSchedules": "false",
    "SqlIamAuth": "true",
    "SqlResourceId": "prx-1",
    "SubnetIds": "subnet-1,subnet-2",
    "WorkerConcurrency": "3",
}


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        pytest.param((ROOT / "template.yaml").read_text(), NEEDED, id="ours"),
        pytest.param((ROOT / "template.yaml").read_text(), NEEDED | OTHER, id="ours-otherwise"),
        pytest.param(GROWN, {}, id="grown"),
        pytest.param(GROWN, {"Stage": "live", "Names": "three, four", "Window": "6"}, id="grown-otherwise"),
    ],
)
def test_a_template_deploys_what_sam_says(text: str, parameters: dict[str, str], tmp_path: Path) -> None:
    """GIVEN a template WHEN both read it THEN they agree about functions, queues and all that invokes functions."""
    path = tmp_path / "template.yaml"
    path.write_text(text)
    deployment = read_deployment(path, parameters, SITE)
    stack = Stack(text, parameters, SITE)
    assert {name: _function(function, deployment) for name, function in deployment.functions.items()} == _functions(
        stack
    )
    assert _ours(deployment) == _sams(stack)


def test_ours_is_read_without_what_only_aws_needs() -> None:
    """GIVEN no SecretArns, which only permissions name THEN the template is read all the same."""
    needed = {name: value for name, value in NEEDED.items() if name != "SecretArns"}
    deployment = read_deployment(ROOT / "template.yaml", needed, SITE)
    assert deployment.functions["ApiFunction"].environment["OUTPOST_SECRETS"] == "outpost/config"
    url = f"{SITE.endpoint_url}/{SITE.account}/hub-Queue"
    assert deployment.functions["ApiFunction"].environment["OUTPOST_QUEUE_URL"] == url
    assert deployment.queues["Queue"].url == url
    assert {function.code for function in deployment.functions.values()} == {ROOT}


_SCALARS = st.one_of(st.text(max_size=3), st.integers(0, 9), st.booleans(), st.just({"Ref": "X"}))
_TREES = st.recursive(
    _SCALARS, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(st.sampled_from("abc"), tree, max_size=3)
)


@given(st.dictionaries(st.sampled_from("abc"), _TREES), st.dictionaries(st.sampled_from("abc"), _TREES))
def test_globals_merge_as_sam_merges_them(below: dict[str, Any], above: dict[str, Any]) -> None:
    section = _node({"Function": below})
    merged = Globals(section).merged("AWS::Serverless::Function", _node(above))
    assert _plain(merged) == GlobalProperties(below).merge(above)


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, 1)
    return Node([_node(item) for item in value] if isinstance(value, list) else value, 1)


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _function(function: FunctionResource, deployment: Deployment) -> dict[str, Any]:
    """A function of ours; values that name queues of this machine are named as the other side names them."""
    names = {queue.url: f"<{name}>" for name, queue in deployment.queues.items()}
    names |= {queue.name: f"QueueName of {name}" for name, queue in deployment.queues.items()}
    return {
        "handler": function.handler,
        "runtime": function.runtime,
        "name": function.name,
        "timeout": function.timeout,
        "memory": function.memory_mb,
        "reserved": function.reserved_concurrency,
        "environment": {key: names.get(value, value) for key, value in function.environment.items()},
        "retries": (function.retry_attempts, function.max_event_age_seconds),
        "url": function.has_url,
    }


def _functions(stack: Stack) -> dict[str, dict[str, Any]]:
    configs = {item["FunctionName"]: item for item in stack.of_type("AWS::Lambda::EventInvokeConfig").values()}
    urls = {item["TargetFunctionArn"] for item in stack.of_type("AWS::Lambda::Url").values()}
    found = {}
    for name, function in stack.of_type("AWS::Lambda::Function").items():
        config = configs.get(f"<{name}>", {})
        reserved = function.get("ReservedConcurrentExecutions")
        found[name] = {
            "handler": function["Handler"],
            "runtime": function["Runtime"],
            "name": function.get("FunctionName", name),
            "timeout": int(function.get("Timeout", 3)),
            "memory": int(function.get("MemorySize", 128)),
            "reserved": None if reserved is None else int(reserved),
            "environment": function.get("Environment", {}).get("Variables", {}),
            "retries": (
                int(config.get("MaximumRetryAttempts", 2)),
                int(config.get("MaximumEventAgeInSeconds", 21600)),
            ),
            "url": f"<{name}>" in urls,
        }
    return found


def _ours(deployment: Deployment) -> dict[str, Any]:
    """Queues, and what invokes functions."""
    functions = deployment.functions.items()
    return {
        "queues": {
            name: (queue.visibility_seconds, queue.delay_seconds, queue.dead_letter_queue, queue.max_receive_count)
            for name, queue in deployment.queues.items()
        },
        "retention": {name: queue.retention_seconds for name, queue in deployment.queues.items()},
        "sources": {
            source.logical_id: (
                name,
                source.queue,
                source.batch_size,
                source.batching_window_seconds,
                source.max_concurrency,
                source.reports_item_failures,
                source.enabled,
            )
            for name, function in functions
            for source in function.queue_sources
        },
        "schedules": {
            tick.logical_id: (name, tick.by_scheduler, tick.expression, tick.timezone, tick.input, tick.enabled)
            for name, function in functions
            for tick in function.schedules
        },
        "apis": set(deployment.http_apis),
        "routes": {
            (route.api, route.path, route.method): (name, round(route.timeout * 1000))
            for name, function in functions
            for route in function.http_routes
        },
    }


def _sams(stack: Stack) -> dict[str, Any]:
    queues = stack.of_type("AWS::SQS::Queue")
    sources = stack.of_type("AWS::Lambda::EventSourceMapping")
    return {
        "queues": {
            name: (
                int(queue.get("VisibilityTimeout", 30)),
                int(queue.get("DelaySeconds", 0)),
                *_redrive(queue.get("RedrivePolicy")),
            )
            for name, queue in queues.items()
        },
        "retention": {name: int(queue.get("MessageRetentionPeriod", 345600)) for name, queue in queues.items()},
        "sources": {
            name: (
                source["FunctionName"].strip("<>"),
                source["EventSourceArn"].removeprefix("Arn of "),
                int(source.get("BatchSize", 10)),
                int(source.get("MaximumBatchingWindowInSeconds", 0)),
                int(source["ScalingConfig"]["MaximumConcurrency"]) if "ScalingConfig" in source else None,
                "ReportBatchItemFailures" in source.get("FunctionResponseTypes", []),
                source.get("Enabled", "true") == "true",
            )
            for name, source in sources.items()
        },
        "schedules": dict(_ticks(stack)),
        "apis": set(stack.of_type("AWS::ApiGatewayV2::Api")),
        "routes": dict(_routes(stack)),
    }


def _redrive(policy: dict[str, str] | None) -> tuple[str | None, int | None]:
    if policy is None:
        return None, None
    return policy["deadLetterTargetArn"].removeprefix("Arn of "), int(policy["maxReceiveCount"])


def _ticks(stack: Stack) -> list[tuple[str, tuple[Any, ...]]]:
    found: list[tuple[str, tuple[Any, ...]]] = []
    for by_scheduler, kind in ((False, "AWS::Events::Rule"), (True, "AWS::Scheduler::Schedule")):
        for name, tick in stack.of_type(kind).items():
            target = tick["Target"] if by_scheduler else tick["Targets"][0]
            function = target["Arn"].removeprefix("Arn of ")
            timezone = tick.get("ScheduleExpressionTimezone", "UTC")
            enabled = tick.get("State", "ENABLED") == "ENABLED"
            value = (function, by_scheduler, tick["ScheduleExpression"], timezone, target.get("Input"), enabled)
            found.append((name, value))
    return found


def _routes(stack: Stack) -> list[tuple[tuple[str, str, str], tuple[str, int]]]:
    found = []
    for api, properties in stack.of_type("AWS::ApiGatewayV2::Api").items():
        for path, methods in properties["Body"]["paths"].items():
            for method, operation in methods.items():
                integration = operation["x-amazon-apigateway-integration"]
                function = integration["uri"].rpartition("functions/${")[2].partition(".")[0]
                verb = "ANY" if "any-method" in method else method.upper()
                timeout = int(integration.get("timeoutInMillis", 30000))
                found.append(((api, path, verb), (function, timeout)))
    return found
