"""The emulator (``local/aws``) and ``sam local`` answer the same, and functions see the same events.

Where they differ, ``sam local`` differs from AWS: each such case says so beside it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import httpx
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import deploy
from local.aws.front import FrontEnd
from local.aws.function import Function
from local.aws.http_events import HTTP_API
from local.aws.instance import ACCOUNT
from local.aws.lambda_api import LambdaApi
from local.template.deployment import Site
from local.template.reader import read_deployment
from tests.sam import sam
from tests.sam.conftest import Surroundings
from tests.sam.events import event
from tests.support.aws import REGION
from tests.support.outpost import HUBS

pytestmark = pytest.mark.sam

FUNCTIONS = ["ApiFunction", "WorkerFunction", "ExpireFunction", "RecoverFunction", "TunnelsFunction", "MigrateFunction"]
EVENTS = [path.stem for path in sorted((sam.ROOT / "tests/events").glob("*.json"))]

_CHANGES = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # of requests
    r"|\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)?"  # moments
    r"|File \"[^\"]*/"  # folders of tracebacks
)


class Both(NamedTuple):
    """The same functions twice: where ``sam local`` and where the emulator answers."""

    sam: str
    emulator: str


@contextmanager
def emulated(template: Path, parameters: dict[str, str], variables: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The emulator with a template's functions: the URLs of Lambda's API and of the HTTP API."""
    deployment = read_deployment(template, parameters, Site(region=REGION, account=ACCOUNT))
    with ExitStack() as stack:
        functions: dict[str, Function] = {}
        for name, resource in deployment.functions.items():
            definition = deploy.definition(resource, log=template.parent / f"{name}.log", environment=variables)
            functions[name] = Function(definition)
            stack.callback(functions[name].close)
        (api,) = deployment.http_apis
        lambda_api = LambdaApi(functions)
        front = FrontEnd(deploy.routes(api, deployment.functions.values(), functions), HTTP_API)
        for server in (lambda_api, front):
            server.start()
            stack.callback(server.close)
        yield lambda_api.url, front.url


@contextmanager
def both(program: sam.Sam, emulator: tuple[str, str]) -> Iterator[tuple[Both, Both]]:
    """Lambda's API and the HTTP API of both."""
    with program.serve("start-lambda") as invoked, program.serve("start-api") as asked:
        yield Both(invoked, emulator[0]), Both(asked, emulator[1])


@pytest.fixture(scope="module")
def outpost(
    functions: sam.Sam, surroundings: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Both, Both]]:
    """Outpost's own functions, with the same AWS, the same database and the same variables."""
    template = tmp_path_factory.mktemp("emulated") / "template.yaml"
    shutil.copy(sam.ROOT / "template.yaml", template)
    text = template.read_text().replace("CodeUri: .", f"CodeUri: {sam.ROOT}")
    template.write_text(text)
    parameters = {"OutpostSecrets": "outpost", "SecretArns": "none", "SqlHost": "none"}
    variables = surroundings.variables | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with emulated(template, parameters, variables) as emulator, both(functions, emulator) as urls:
        yield urls


SMALL: dict[str, Any] = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Architecture": {"Type": "String", "Default": "x86_64"}},
    "Resources": {
        "Echo": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Handler": "handlers.echo",
                "Events": {
                    "Every": {"Type": "HttpApi"},
                    "One": {"Type": "HttpApi", "Properties": {"Method": "GET", "Path": "/one/{name}"}},
                },
            },
        },
        "Bad": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "handlers.misbehaving"}},
        "Slow": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "handlers.sleeping", "Timeout": 2}},
        "Missing": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "handlers.missing"}},
    },
    "Globals": {
        "Function": {
            "Runtime": "python3.11",
            "CodeUri": "code",
            "MemorySize": 256,
            "Timeout": 30,
            "Architectures": [{"Ref": "Architecture"}],
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def small(toolchain: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Both, Both]]:
    """Small functions that show what reaches them, and fail."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "code").mkdir()
    shutil.copy(sam.ROOT / "tests/functions/handlers.py", folder / "code")
    (folder / "template.yaml").write_text(yaml.safe_dump(SMALL))
    program = sam.Sam(folder, folder / "template.yaml", {})
    with emulated(folder / "template.yaml", {}, {}) as emulator, both(program, emulator) as urls:
        yield urls


def plain(value: Any) -> Any:
    """Without what is another one each time."""
    if isinstance(value, str):
        return _CHANGES.sub("*", value)
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def client(url: str) -> Any:
    """Lambda's."""
    config = Config(read_timeout=120, retries={"total_max_attempts": 1})
    return boto3.session.Session("testing", "testing", region_name=REGION).client(
        "lambda", endpoint_url=url, config=config
    )


def invoked(url: str, function: str, payload: bytes, **options: str) -> Any:
    """What a client of Lambda sees."""
    try:
        called = client(url).invoke(FunctionName=function, Payload=payload, **options)
    except ClientError as error:
        return {
            "refused": error.response["Error"]["Code"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
        }
    body = called["Payload"].read()
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        answer = body.decode()
    if isinstance(answer, dict) and answer.get("body"):
        answer["body"] = json.loads(answer["body"])
    return plain({"status": called["StatusCode"], "error": called.get("FunctionError"), "answer": answer})


def corrected(said: Any) -> Any:
    """What ``sam local start-lambda`` says, as Lambda says it.

    It tells nothing of a function's error but in the payload, and its refusals are not called as in the API's model.
    """
    if "refused" in said:
        return said | {"refused": f"{said['refused']}Exception"}
    failed = isinstance(said["answer"], dict) and "errorMessage" in said["answer"]
    return said | {"error": "Unhandled" if failed else None}


def corrected_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event of ``sam local start-api``, as API Gateway makes it in format 2.0.

    There header names are in lower case, cookies stand beside headers only, what is empty is left out, ``$default``
    has no parameters, and a request's id, time and user agent are its own.
    """
    event = {name: value for name, value in event.items() if name != "stageVariables" and value not in ("", [], {})}
    event.setdefault("rawQueryString", "")
    if event["routeKey"] == "$default":
        event.pop("pathParameters", None)
    headers = {name.lower(): value for name, value in event["headers"].items() if name != "Cookie"}
    http_part = event["requestContext"]["http"] | {"userAgent": headers["user-agent"]}
    return event | {"headers": headers, "requestContext": event["requestContext"] | {"http": http_part}}


def placeless(event: dict[str, Any]) -> Any:
    """An event without what belongs to a request alone, or to where it was sent."""
    of_the_place = {"host", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"}
    headers = {name: value for name, value in event["headers"].items() if name not in of_the_place}
    of_the_api = {"apiId", "domainName", "domainPrefix", "time", "timeEpoch"}
    context = {name: value for name, value in event["requestContext"].items() if name not in of_the_api}
    return plain(event | {"headers": headers, "requestContext": context})


def seen(answer: httpx.Response) -> Any:
    """What a client of the HTTP API sees, but for what belongs to the server that hands it over."""
    of_the_server = {"date", "server", "connection", "content-length"}
    headers = {name: value for name, value in answer.headers.items() if name not in of_the_server}
    body = answer.json() if answer.headers.get("content-type") == "application/json" else answer.text
    return plain({"status": answer.status_code, "headers": headers, "body": body})


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", [name for name in EVENTS if "start" not in name])
def test_every_function_answers_every_event_alike(outpost: tuple[Both, Both], function: str, name: str) -> None:
    payload = json.dumps(event(name)).encode()
    urls, _ = outpost
    assert invoked(urls.emulator, function, payload) == corrected(invoked(urls.sam, function, payload))


def test_a_services_life_is_alike(outpost: tuple[Both, Both]) -> None:
    """GIVEN one database WHEN a hub leads a server through its life by either way THEN all answers are the same."""
    names = ("function_url_start", "http_api_list", "function_url_poll", "function_url_stop", "http_api_list")
    urls, _ = outpost
    lives = [[invoked(url, "ApiFunction", json.dumps(event(name)).encode()) for name in names] for url in urls]
    assert lives[0] == lives[1]
    assert [step["answer"]["statusCode"] for step in lives[0]] == [200] * 5


def test_an_asynchronous_start_is_alike(outpost: tuple[Both, Both], surroundings: Surroundings) -> None:
    stop = event("function_url_stop")
    stop["rawPath"] = stop["requestContext"]["http"]["path"] = "/services/later/f00"
    answers = []
    for url in outpost[0]:
        answers.append(invoked(url, "ApiFunction", json.dumps(event("http_api_start_async")).encode()))
        assert invoked(url, "ApiFunction", json.dumps(stop).encode())["answer"]["statusCode"] == 200
        surroundings.aws.messages(surroundings.variables["OUTPOST_QUEUE_URL"])
    assert answers[0] == answers[1]
    assert answers[0]["answer"]["statusCode"] == 202


HUB = ("hub1", HUBS["hub1"])
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/ping", {}),
    ("GET", "/ping/", {}),
    ("GET", "/services", {}),
    ("GET", "/services", {"auth": HUB}),
    ("GET", "/services", {"auth": ("hub1", "guessed")}),
    ("GET", "/services/nobody/f00?collect_logs=true", {"auth": HUB}),
    ("GET", "/flavors", {"auth": HUB}),
    ("POST", "/services", {"auth": HUB, "json": {"env": {}}}),
    ("POST", "/services", {"auth": HUB, "content": b"{", "headers": {"content-type": "application/json"}}),
    ("POST", "/userflavors", {"auth": HUB, "json": {"name": "ü"}}),
    ("DELETE", "/services/nobody", {"auth": HUB}),
    ("PUT", "/services", {"auth": HUB}),
    ("GET", "/nowhere", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "options"), REQUESTS)
def test_every_request_is_answered_alike(
    outpost: tuple[Both, Both], method: str, path: str, options: dict[str, Any]
) -> None:
    _, urls = outpost
    answers = [seen(httpx.request(method, url + path, timeout=120, **options)) for url in urls]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        ("Bad", b'{"do": "raise"}'),
        ("Bad", b'{"do": "nothing"}'),
        ("Missing", b"{}"),
        ("Nobody", b"{}"),
        ("Bad", b"{"),
    ],
)
def test_what_fails_fails_alike(small: tuple[Both, Both], function: str, payload: bytes) -> None:
    urls, _ = small
    assert invoked(urls.emulator, function, payload) == corrected(invoked(urls.sam, function, payload))


def test_an_event_is_accepted_alike(small: tuple[Both, Both]) -> None:
    urls, _ = small
    answers = [invoked(url, "Bad", b"{}", InvocationType="Event") for url in urls]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == 202


def test_a_dry_run_and_a_time_out_are_lambdas_only_in_the_emulator(small: tuple[Both, Both]) -> None:
    """``sam local`` has no dry run, and tells of a time-out in a plain text that looks like a result."""
    urls, _ = small
    assert invoked(urls.emulator, "Bad", b"{}", InvocationType="DryRun")["status"] == 204
    assert invoked(urls.sam, "Bad", b"{}", InvocationType="DryRun")["status"] == 501
    late = [invoked(url, "Slow", b'{"rawPath": "/"}') for url in (urls.emulator, urls.sam)]
    assert (late[0]["error"], late[0]["answer"]["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 2.00 seconds" in late[0]["answer"]["errorMessage"]
    assert late[1]["answer"] == "Task timed out after 2.00 seconds"


SHAPES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("GET", "/a%20b/c?x=1&x=2&y=%2F&z=", {"headers": [("X-Many", "1"), ("X-Many", "2")]}),
    ("GET", "/one/two", {"headers": {"cookie": "a=1; b=2"}}),
    ("POST", "/json", {"json": {"a": "ü"}}),
    ("PATCH", "/text", {"content": "ü".encode(), "headers": {"content-type": "text/plain"}}),
]


@pytest.mark.parametrize(("method", "path", "options"), SHAPES)
def test_functions_see_requests_alike(
    small: tuple[Both, Both], method: str, path: str, options: dict[str, Any]
) -> None:
    _, urls = small
    answers = [httpx.request(method, url + path, timeout=120, **options) for url in urls]
    of_sam, of_emulator = (answer.json()["event"] for answer in answers)
    assert placeless(of_emulator) == placeless(corrected_event(of_sam))
    replies = [(answer.status_code, seen(answer)["headers"]) for answer in answers]
    assert replies[0] == replies[1]


def test_bytes_reach_functions_only_in_the_emulator(small: tuple[Both, Both]) -> None:
    """``sam local`` cannot read a body that is no UTF-8."""
    _, urls = small
    headers = {"content-type": "application/octet-stream"}
    answers = [httpx.put(url, content=b"\xff\xfe", headers=headers, timeout=120) for url in urls]
    assert answers[0].status_code == 502
    event = answers[1].json()["event"]
    assert (event["body"], event["isBase64Encoded"]) == ("//4=", True)
