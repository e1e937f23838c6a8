"""What a template deploys becomes functions, routes, queues and schedules here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.aws import deploy
from local.aws.async_events import AsyncEvents
from local.aws.front import FrontEnd
from local.aws.function import Function, Throttled
from local.aws.http_events import HTTP_API
from local.template.deployment import FunctionResource, HttpRoute, QueueSource, ScheduleSource, TemplateError
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def resource(name: str = "EchoFunction", handler: str = "echo", **changes: Any) -> FunctionResource:
    """A function of a template."""
    values: dict[str, Any] = {
        "logical_id": name,
        "name": name,
        "handler": f"tests.functions.handlers.{handler}",
        "runtime": "python3.11",
        "code": ROOT,
        "timeout": 60,
        "memory_mb": 700,
        "reserved_concurrency": None,
        "retry_attempts": 1,
        "max_event_age_seconds": 60,
        "has_url": False,
        "place": "template.yaml:1",
        **changes,
    }
    return FunctionResource(**values)


def route(method: str, path: str, timeout: float = 30) -> HttpRoute:
    """One of the API ``Api``."""
    return HttpRoute("Api", method, path, timeout, "template.yaml:2")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[dict[str, Function]]:
    """Functions to be closed."""
    functions: dict[str, Function] = {}
    yield functions
    for function in functions.values():
        function.close()


def test_a_function_is_what_its_resource_says(made: dict[str, Function], tmp_path: Path) -> None:
    about = resource(handler="about", environment={"AWS_COLOUR": "blue", "AWS_PLACE": "cloud"})
    definition = deploy.definition(about, log=tmp_path / "log", environment={"AWS_PLACE": "here"})
    made["one"] = Function(definition)
    answer = made["one"].invoke({}).json()
    assert answer["memory"] == "700"
    assert answer["arn"].endswith(":function:EchoFunction")
    assert answer["environment"]["AWS_COLOUR"] == "blue"
    assert answer["environment"]["AWS_PLACE"] == "here"
    assert 30_000 < answer["remaining_ms"] <= 60_000
    assert (definition.retry_attempts, definition.max_event_age_seconds) == (1, 60)


@pytest.mark.parametrize(("reserved", "concurrency"), [(None, deploy.UNRESERVED), (0, 0), (3, 3)])
def test_reserved_concurrency_is_the_bound(
    made: dict[str, Function], tmp_path: Path, reserved: int | None, concurrency: int
) -> None:
    definition = deploy.definition(resource(reserved_concurrency=reserved), log=tmp_path / "log")
    assert definition.concurrency == concurrency
    if reserved == 0:
        with pytest.raises(Throttled):
            Function(definition).invoke({})


def test_an_http_apis_routes_lead_to_their_functions(made: dict[str, Function], tmp_path: Path) -> None:
    """GIVEN three functions behind one API WHEN requests come THEN the best route is chosen, as API Gateway does."""
    resources = [
        resource("One", http_routes=(route("GET", "/hubs/{name}"), route("ANY", "/hubs/{name}/{rest+}"))),
        resource("Two", http_routes=(route("ANY", "/hubs/all"), route("POST", "/hubs/{name}"))),
        resource("Rest", http_routes=(route("ANY", "$default"),)),
        resource("Other", http_routes=(HttpRoute("Elsewhere", "ANY", "/hubs/mine", 30, "template.yaml:3"),)),
    ]
    for each in resources:
        made[each.logical_id] = Function(deploy.definition(each, log=tmp_path / "log"))
    front = FrontEnd(deploy.routes("Api", resources, made), HTTP_API)
    front.start()

    def asked(method: str, path: str) -> tuple[str, str, Any]:
        answer = httpx.request(method, front.url + path, timeout=60).json()
        event = answer["event"]
        assert event["requestContext"]["routeKey"] == event["routeKey"]
        (name,) = [name for name, function in made.items() if answer["pid"] in function.pids]
        return name, event["routeKey"], event.get("pathParameters")

    assert asked("GET", "/hubs/a%20b") == ("One", "GET /hubs/{name}", {"name": "a b"})
    assert asked("GET", "/hubs/all") == ("Two", "ANY /hubs/all", None)
    assert asked("POST", "/hubs/mine") == ("Two", "POST /hubs/{name}", {"name": "mine"})
    assert asked("DELETE", "/hubs/a/b/c") == ("One", "ANY /hubs/{name}/{rest+}", {"name": "a", "rest": "b/c"})
    assert asked("PUT", "/hubs/a") == ("Rest", "$default", None)
    assert made["Other"].pids == []
    front.close()


def test_an_api_without_a_route_for_a_request_does_not_find_it(made: dict[str, Function], tmp_path: Path) -> None:
    only = resource(http_routes=(route("GET", "/there"),))
    made["EchoFunction"] = Function(deploy.definition(only, log=tmp_path / "log"))
    front = FrontEnd(deploy.routes("Api", [only], made), HTTP_API)
    front.start()
    answer = httpx.get(f"{front.url}/elsewhere")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"})
    assert made["EchoFunction"].pids == []
    front.close()


def test_a_queue_source_is_mapped_as_it_says(made: dict[str, Function], sqs: Any, tmp_path: Path) -> None:
    environment = {"NOTES": str(tmp_path / "event")}
    keeping = resource(handler="keeping", environment=environment)
    made["one"] = Function(deploy.definition(keeping, log=tmp_path / "log"))
    queue = sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(3)])
    source = QueueSource("Wake", "Queue", 10, 0, None, True, True, "template.yaml:4")
    mapping = deploy.queue_mapping(source, sqs, queue, made["one"])
    mapping.start()
    eventually(lambda: (tmp_path / "event").exists(), 60)
    mapping.close()
    assert len(json.loads((tmp_path / "event").read_text())["Records"]) == 3


def schedule_source(expression: str, **changes: Any) -> ScheduleSource:
    """A schedule of a template."""
    values: dict[str, Any] = {
        "logical_id": "Tick",
        "arn": "arn:aws:events:eu-central-1:123456789012:rule/Tick",
        "expression": expression,
        "timezone": "UTC",
        "input": None,
        "enabled": True,
        "by_scheduler": False,
        "place": "template.yaml:5",
        **changes,
    }
    return ScheduleSource(**values)


def test_a_schedule_source_fires_its_function(made: dict[str, Function], tmp_path: Path) -> None:
    keeping = resource(handler="keeping", environment={"NOTES": str(tmp_path / "event")})
    made["one"] = Function(deploy.definition(keeping, log=tmp_path / "log"))
    events = AsyncEvents(made["one"])
    deploy.schedule(schedule_source("rate(1 day)"), events).tick(datetime(2026, 1, 2, tzinfo=UTC)).result(60)
    event = json.loads((tmp_path / "event").read_text())
    assert (event["time"], event["resources"]) == ("2026-01-02T00:00:00Z", [schedule_source("").arn])
    deploy.schedule(schedule_source("rate(1 day)", input='{"a": 1}'), events).tick().result(60)
    assert json.loads((tmp_path / "event").read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expression": "rate(1 minutes)"}, "template.yaml:5: 'rate(1 minutes)': 1 goes with minute"),
        ({"expression": "cron(0 0 * * ? *)", "timezone": "Mars/Olympus"}, "template.yaml:5: "),
    ],
)
def test_a_schedule_that_is_none_is_named_with_its_line(
    made: dict[str, Function], tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    made["one"] = Function(deploy.definition(resource(), log=tmp_path / "log"))
    with pytest.raises(TemplateError) as error:
        deploy.schedule(schedule_source(**changes), AsyncEvents(made["one"]))
    assert str(error.value).startswith(said)
