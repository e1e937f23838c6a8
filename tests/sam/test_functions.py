"""Every function takes its events, in Lambda's own runtime client, as it is packaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.sam.conftest import Surroundings
from tests.sam.events import event, queue_event
from tests.sam.sam import Sam
from tests.support.aws import REGION

pytestmark = pytest.mark.sam

Call = Callable[[str, Any], Any]

FUNCTIONS = ["ApiFunction", "WorkerFunction", "ExpireFunction", "RecoverFunction", "TunnelsFunction", "MigrateFunction"]
NO_JSON = "00000000-0000-4000-8000-000000000002"
"""The message in the file that is none of Outpost's."""

DONE = {"services": 0, "dry_run": False}
ONLY_LOOKED = {"services": 0, "dry_run": True}


@pytest.fixture(scope="module")
def call(functions: Sam) -> Iterator[Call]:
    """Calls a function as any program does, with boto3; what it answers."""
    with functions.serve("start-lambda") as url:
        session = boto3.session.Session("testing", "testing", region_name=REGION)
        config = Config(read_timeout=120, retries={"total_max_attempts": 1})
        client = session.client("lambda", endpoint_url=url, config=config)
        yield lambda function, payload: json.load(
            client.invoke(FunctionName=function, Payload=json.dumps(payload))["Payload"]
        )


@pytest.mark.parametrize(
    ("function", "name", "answer"),
    [
        (
            "WorkerFunction",
            "sqs_wake_ups",
            {"batchItemFailures": [{"itemIdentifier": f"00000000-0000-4000-8000-{2:012}"}]},
        ),
        ("ExpireFunction", "scheduled", DONE),
        ("RecoverFunction", "scheduled", DONE),
        ("TunnelsFunction", "scheduled", DONE),
        ("MigrateFunction", "scheduled", {"schema": "current"}),
    ],
)
def test_sam_local_invokes_every_function(functions: Sam, function: str, name: str, answer: Any) -> None:
    assert functions.invoke(function, event(name)).payload == answer


def test_the_api_with_its_layer_is_what_is_deployed(layered: Sam, functions: Sam) -> None:
    """GIVEN function and layer apart, as Lambda gets them WHEN a hub asks for its flavors THEN it gets them."""
    answer = layered.invoke("ApiFunction", event("http_api_flavors")).payload
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["small"]["max"] == 10


@pytest.mark.parametrize("function", ["ExpireFunction", "RecoverFunction", "TunnelsFunction"])
def test_scheduled_functions_can_be_tried_dry(call: Call, function: str) -> None:
    assert call(function, event("dry_run")) == ONLY_LOOKED


def test_the_schema_can_be_asked_for_without_a_migration(call: Call) -> None:
    assert call("MigrateFunction", event("dry_run")) == {"schema": "current"}


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        ("ApiFunction", "HTTP requests of an HTTP API"),
        ("WorkerFunction", "messages of its SQS queue"),
        ("ExpireFunction", "scheduled events"),
        ("RecoverFunction", "scheduled events"),
        ("TunnelsFunction", "scheduled events"),
        ("MigrateFunction", "scheduled events"),
    ],
)
def test_a_wrong_event_is_refused_in_one_line_that_says_what_is_taken(call: Call, function: str, taken: str) -> None:
    refused = call(function, event("s3_put"))
    message = refused["errorMessage"]
    assert message.startswith(f"this function takes {taken}")
    assert "records of aws:s3" in message
    assert "\n" not in message
    assert "secret-name" not in json.dumps(refused)


@pytest.mark.parametrize("name", ["http_api_ping", "function_url_ping"])
def test_a_ping_needs_no_password(call: Call, name: str) -> None:
    assert _body(call("ApiFunction", event(name))) == {"ping": "pong!"}


@pytest.mark.parametrize("name", ["http_api_flavors", "alb_flavors"])
def test_every_door_leads_to_the_api(call: Call, name: str) -> None:
    assert _body(call("ApiFunction", event(name)))["small"]["current"] == 0


def test_a_hub_without_password_is_refused(call: Call) -> None:
    request = event("http_api_flavors")
    del request["headers"]["authorization"]
    assert call("ApiFunction", request)["statusCode"] == 401


def test_a_function_url_carries_any_name_through_a_services_life(call: Call) -> None:
    """GIVEN a name that looks like a path WHEN a hub starts, polls and stops THEN all mean the same service."""
    started = _body(call("ApiFunction", event("function_url_start")))
    assert started == {"service": "http://10.0.0.7:8888"}
    listed = _body(call("ApiFunction", event("http_api_list")))
    assert [(item["name"], item["start_id"], item["status"]) for item in listed] == [("lab/1 ü?", "f00", "running")]
    assert _body(call("ApiFunction", event("function_url_poll"))) == {"status": None, "logs": []}
    assert _body(call("ApiFunction", event("function_url_stop"))) == {"logs": []}
    assert _body(call("ApiFunction", event("http_api_list"))) == []


def test_an_asynchronous_start_goes_through_the_queue_to_the_worker(call: Call, surroundings: Surroundings) -> None:
    """GIVEN a start that nobody waits for WHEN its message reaches the worker THEN the server runs."""
    answer = call("ApiFunction", event("http_api_start_async"))
    assert answer["statusCode"] == 202, answer
    assert [item["status"] for item in _body(call("ApiFunction", event("http_api_list")))] == ["pending"]
    messages = surroundings.aws.messages(surroundings.variables["OUTPOST_QUEUE_URL"])
    assert call("WorkerFunction", queue_event(*messages)) == {"batchItemFailures": []}
    assert [item["status"] for item in _body(call("ApiFunction", event("http_api_list")))] == ["running"]
    stop = event("function_url_stop")
    stop["rawPath"] = stop["requestContext"]["http"]["path"] = "/services/later/f00"
    assert _body(call("ApiFunction", stop)) == {"logs": []}


def _body(answer: Any) -> Any:
    assert answer.get("statusCode") == 200, answer
    return json.loads(answer["body"])
