"""Real boto3 invokes functions with Lambda's API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore.config import Config

from local.aws.async_events import AsyncEvents
from local.aws.function import Function
from local.aws.instance import REGION
from local.aws.lambda_api import LambdaApi
from local.aws.records import Record
from tests.functions.conftest import Deploy
from tests.support.functions import KEYS
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

ARN = "arn:aws:lambda:eu-central-1:123456789012:function"
ABOUT = "about"

Serve = Callable[..., Any]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Put the API in front of functions; a client of it."""
    served: list[LambdaApi] = []

    def new(*functions: Function, events: dict[Function, AsyncEvents] | None = None) -> Any:
        api = LambdaApi({function.definition.name: function for function in functions}, events)
        api.start()
        served.append(api)
        config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
        return boto3.client("lambda", endpoint_url=api.url, region_name=REGION, config=config, **KEYS)

    yield new
    for api in served:
        api.close()


@pytest.fixture
def function(deploy: Deploy, records: list[Record]) -> Function:
    """A function called ``about``."""
    return deploy("handlers.about", {"name": ABOUT}, observer=records.append)


@pytest.mark.parametrize(
    "name",
    [
        ABOUT,
        f"{ABOUT}:$LATEST",
        f"function:{ABOUT}",
        f"123456789012:function:{ABOUT}",
        f"{ARN}:{ABOUT}",
        f"{ARN}:{ABOUT}:$LATEST",
    ],
)
def test_a_function_is_called_by_its_name_or_its_arn(serve: Serve, function: Function, name: str) -> None:
    called = serve(function).invoke(FunctionName=name, Payload=json.dumps({"a": "ü"}).encode())
    assert (called["StatusCode"], called["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in called
    answer = json.load(called["Payload"])
    assert answer["event"] == {"a": "ü"}
    assert answer["request_id"] == called["ResponseMetadata"]["RequestId"]


def test_a_qualifier_other_than_latest_is_no_function(serve: Serve, function: Function) -> None:
    client = serve(function)
    assert client.invoke(FunctionName=ABOUT, Qualifier="$LATEST")["StatusCode"] == 200
    with pytest.raises(client.exceptions.ResourceNotFoundException, match=f"{ARN}:{ABOUT}:7"):
        client.invoke(FunctionName=ABOUT, Qualifier="7")


def test_without_a_payload_a_function_gets_an_empty_event(serve: Serve, function: Function) -> None:
    assert json.load(serve(function).invoke(FunctionName=ABOUT)["Payload"])["event"] == {}


def test_a_function_that_fails_is_an_answer_with_a_function_error(serve: Serve, deploy: Deploy) -> None:
    called = serve(deploy("handlers.misbehaving", {"name": "bad"})).invoke(FunctionName="bad", Payload=b"{}")
    assert (called["StatusCode"], called["FunctionError"]) == (200, "Unhandled")
    assert json.load(called["Payload"])["errorMessage"] == "the handler has failed"


def test_the_end_of_the_log_comes_along_when_it_is_asked_for(serve: Serve, deploy: Deploy) -> None:
    client = serve(deploy("handlers.misbehaving", {"name": "bad"}))
    event = {"do": "print", "text": "first" + 5000 * "x" + "last"}
    called = client.invoke(FunctionName="bad", Payload=json.dumps(event).encode(), LogType="Tail")
    tail = base64.b64decode(called["LogResult"]).decode()
    assert len(tail.encode()) == 4096
    assert "first" not in tail
    assert "xlast\n" in tail
    assert tail.splitlines()[-1].startswith(f"REPORT RequestId: {called['ResponseMetadata']['RequestId']}\tDuration: ")
    called = client.invoke(FunctionName="bad", Payload=b'{"do": "print", "text": "short"}', LogType="Tail")
    lines = base64.b64decode(called["LogResult"]).decode().splitlines()
    assert [line.split()[0] for line in lines] == ["START", "short", "END", "REPORT"]
    called = client.invoke(FunctionName="bad", Payload=b'{"do": "exit"}', LogType="Tail")
    assert (
        base64.b64decode(called["LogResult"]).decode().endswith("exited with error: exit status 3\nRuntime.ExitError\n")
    )
    assert "LogResult" not in client.invoke(FunctionName="bad", Payload=b'{"do": "nothing"}')


def test_a_dry_run_invokes_nothing(serve: Serve, function: Function) -> None:
    assert serve(function).invoke(FunctionName=ABOUT, InvocationType="DryRun")["StatusCode"] == 204
    assert function.pids == []


def test_an_event_is_accepted_at_once_and_tried_again_when_it_fails(
    serve: Serve, deploy: Deploy, records: list[Record]
) -> None:
    bad = deploy("handlers.misbehaving", {"name": "bad"}, observer=records.append)
    waited: list[float] = []
    client = serve(bad, events={bad: AsyncEvents(bad, pause=waited.append)})
    called = client.invoke(FunctionName="bad", InvocationType="Event", Payload=b'{"do": "exit"}')
    assert (called["StatusCode"], called["Payload"].read()) == (202, b"")
    eventually(lambda: len(records) == 3, 60)
    assert waited == [60, 120]
    assert {record.request_id for record in records} == {called["ResponseMetadata"]["RequestId"]}
    assert {record.source.kind for record in records} == {"async"}


def test_what_lambda_refuses_is_refused_as_lambda_does(serve: Serve, function: Function, deploy: Deploy) -> None:
    busy = deploy("handlers.about", {"name": "busy", "concurrency": 0})
    client = serve(function, busy)
    with pytest.raises(client.exceptions.ResourceNotFoundException, match=f"Function not found: {ARN}:nobody"):
        client.invoke(FunctionName="nobody")
    with pytest.raises(client.exceptions.InvalidRequestContentException, match="Could not parse request body"):
        client.invoke(FunctionName=ABOUT, Payload=b"{")
    with pytest.raises(client.exceptions.RequestTooLargeException, match="6291556 bytes"):
        client.invoke(FunctionName=ABOUT, Payload=json.dumps("x" * 6_300_000).encode())
    with pytest.raises(client.exceptions.RequestTooLargeException, match="1048576 bytes"):
        client.invoke(FunctionName=ABOUT, InvocationType="Event", Payload=json.dumps("x" * 1_100_000).encode())
    with pytest.raises(client.exceptions.TooManyRequestsException) as throttled:
        client.invoke(FunctionName="busy")
    assert throttled.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="use Invoke"):
        client.invoke_with_response_stream(FunctionName=ABOUT)
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="RequestResponse, Event, DryRun"):
        client.invoke(FunctionName=ABOUT, InvocationType="Later")
    assert function.pids == busy.pids == []


def test_functions_are_listed_without_their_environment(serve: Serve, deploy: Deploy) -> None:
    one = deploy("handlers.about", {"name": "one", "timeout": 7, "environment": {"KEY": "a secret"}})
    client = serve(one, deploy("handlers.about", {"name": "two"}))
    listed = client.list_functions()["Functions"]
    assert [function["FunctionName"] for function in listed] == ["one", "two"]
    assert listed[0]["FunctionArn"] == f"{ARN}:one"
    assert (listed[0]["Timeout"], listed[0]["Handler"]) == (7, "tests.functions.handlers.about")
    assert client.get_function(FunctionName=f"{ARN}:one")["Configuration"] == listed[0]
    assert "a secret" not in httpx.get(f"{client.meta.endpoint_url}/2015-03-31/functions/one/configuration").text


def test_what_is_no_call_that_is_served_here_is_named(serve: Serve, function: Function) -> None:
    client = serve(function)
    with pytest.raises(client.exceptions.ClientError, match="There is no DELETE /2015-03-31/functions/about"):
        client.delete_function(FunctionName=ABOUT)


def test_calls_at_once_are_handled_at_once_and_the_instances_are_frozen_then(
    serve: Serve, deploy: Deploy, tmp_path: Path
) -> None:
    slow = deploy("handlers.blocked", {"name": "slow", "environment": {"NOTES": str(tmp_path)}, "timeout": 60})
    client = serve(slow)
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(client.invoke, FunctionName="slow") for _ in range(3)]
        eventually(lambda: len(list(tmp_path.glob("began-*"))) == 3, 60)
        (tmp_path / "go").touch()
        assert [call.result()["StatusCode"] for call in calls] == [200, 200, 200]
    eventually(lambda: {psutil.Process(pid).status() for pid in slow.pids} == {psutil.STATUS_STOPPED})
