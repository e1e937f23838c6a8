"""Lambda's own API on loopback, as far as functions are invoked and listed with it: for boto3 and the aws CLI."""

from __future__ import annotations

import json
import re
import uuid
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from local.aws.async_events import AsyncEvents
from local.aws.function import Function, Invoked, PayloadTooLarge, Throttled
from local.aws.http_events import HttpAnswer, HttpRequest
from local.aws.http_server import HttpServer
from local.aws.instance import ACCOUNT, REGION, RUNTIME
from local.aws.records import Source

_LATEST = "$LATEST"
_TAIL_BYTES = 4096

_PATH = re.compile(r"/2015-03-31/functions/?(?:(?P<name>[^/]+)(?:/(?P<what>invocations|configuration))?)?")
_STREAMING = re.compile(r"/2021-11-15/functions/[^/]+/response-streaming-invocations")
_NAME = re.compile(
    rf"(?:arn:aws:lambda:{REGION}:{ACCOUNT}:function:|(?:{ACCOUNT}:)?function:)?"
    r"(?P<name>[\w-]+)(?::(?P<qualifier>[\w$-]+))?"
)


class LambdaApi(HttpServer):
    """Invokes the functions of a deployment by name or ARN. Nobody's signature is checked."""

    def __init__(
        self, functions: Mapping[str, Function], events: Mapping[Function, AsyncEvents] | None = None, port: int = 0
    ) -> None:
        """``functions`` by name, and what has their asynchronous ``events``; made here unless given.

        Both may change meanwhile.
        """
        self._functions = functions
        self._events = {each: AsyncEvents(each) for each in functions.values()} if events is None else events
        super().__init__(self._answer_to, port)

    def close(self) -> None:
        """Answer no more, and try no event again."""
        super().close()
        for events in self._events.values():
            events.close()

    def _answer_to(self, request: HttpRequest) -> HttpAnswer:
        request_id = str(uuid.uuid4())
        try:
            answer = self._answer(request, request_id)
        except Refused as refused:
            answer = refused.answer()
        return answer._replace(headers=[*answer.headers, ("x-amzn-requestid", request_id)])

    def _answer(self, request: HttpRequest, request_id: str) -> HttpAnswer:
        if _STREAMING.fullmatch(request.path):
            message = "InvokeWithResponseStream is not supported on one machine: use Invoke."
            raise Refused(400, "InvalidParameterValueException", message)
        found = _PATH.fullmatch(request.path)
        match (request.method, found and (bool(found["name"]), found["what"])):
            case ("GET", (False, None)):
                return _json({"Functions": [_configuration(function) for function in list(self._functions.values())]})
            case ("GET", (True, None)):
                return _json({"Configuration": _configuration(self._function(found, request))})
            case ("GET", (True, "configuration")):
                return _json(_configuration(self._function(found, request)))
            case ("POST", (True, "invocations")):
                return self._invoke(self._function(found, request), request, request_id)
        raise Refused(404, "UnknownOperationException", f"There is no {request.method} {request.path} on one machine.")

    def _function(self, found: re.Match[str] | None, request: HttpRequest) -> Function:
        assert found is not None
        given = unquote(found["name"])
        name = _NAME.fullmatch(given)
        qualifiers = parse_qs(request.query).get("Qualifier", [])
        qualifiers += [name["qualifier"]] if name and name["qualifier"] else []
        function = self._functions.get(name["name"]) if name else None
        if function is None or any(qualifier != _LATEST for qualifier in qualifiers):
            called = given if given.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{given}"
            called = ":".join([called, *parse_qs(request.query).get("Qualifier", [])])
            raise Refused(404, "ResourceNotFoundException", f"Function not found: {called}")
        return function

    def _invoke(self, function: Function, request: HttpRequest, request_id: str) -> HttpAnswer:
        headers = dict(request.headers)
        payload = request.body or b"{}"
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        if kind not in ("RequestResponse", "Event", "DryRun"):
            message = f"InvocationType: {kind!r} is none of RequestResponse, Event, DryRun"
            raise Refused(400, "InvalidParameterValueException", message)
        _check_json(payload)
        try:
            if kind == "DryRun":
                return HttpAnswer(204, [], b"")
            if kind == "Event":
                self._events[function].submit(payload, Source("async"), request_id)
                return HttpAnswer(202, [], b"")
            invoked = function.handle(payload, Source("invoke"), request_id)
        except Throttled as error:
            reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            raise Refused(429, "TooManyRequestsException", "Rate Exceeded.", Reason=reason) from error
        except PayloadTooLarge as error:
            raise Refused(413, "RequestTooLargeException", str(error)) from error
        function.observe(invoked.record)
        return _answered(function, invoked, with_log=headers.get("x-amz-log-type") == "Tail")


class Refused(Exception):
    """A call that Lambda answers with an error."""

    def __init__(self, status: int, kind: str, message: str, **more: str) -> None:
        super().__init__(message)
        self._status = status
        self._kind = kind
        self._body = {"Type": "User", "message": message, **more}

    def answer(self) -> HttpAnswer:
        """As clients read it."""
        answer = _json(self._body, self._status)
        return answer._replace(headers=[*answer.headers, ("x-amzn-errortype", self._kind)])


def _check_json(payload: bytes) -> None:
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise Refused(400, "InvalidRequestContentException", message) from error


def _answered(function: Function, invoked: Invoked, with_log: bool) -> HttpAnswer:
    headers = [("content-type", "application/json"), ("x-amz-executed-version", _LATEST)]
    if invoked.answer.error:
        headers.append(("x-amz-function-error", invoked.answer.error))
    if with_log:
        headers.append(("x-amz-log-result", b64encode(_tail(function, invoked)).decode()))
    return HttpAnswer(200, headers, invoked.answer.payload)


def _tail(function: Function, invoked: Invoked) -> bytes:
    """The end of what was written meanwhile. Events that were handled at the same time may be in it."""
    began, ended = invoked.log_span
    with function.definition.log.open("rb") as log:
        log.seek(max(began, ended - _TAIL_BYTES))
        written = log.read(ended - log.tell())
    record = invoked.record
    first = f"START RequestId: {record.request_id} Version: {_LATEST}\n".encode()
    last = f"END RequestId: {record.request_id}\n{record.report()}\n".encode()
    if record.error_type.startswith(("Runtime.", "Sandbox.")):  # what the function could not write itself
        last += f"{record.error_message}\n{record.error_type}\n".encode()
    if written and not written.endswith(b"\n"):
        written += b"\n"
    return (first + written + last)[-_TAIL_BYTES:]


def _configuration(function: Function) -> dict[str, Any]:
    """Without the environment, which may hold secrets."""
    definition = function.definition
    return {
        "FunctionName": definition.name,
        "FunctionArn": definition.arn,
        "Runtime": RUNTIME,
        "Handler": definition.handler,
        "Timeout": int(definition.timeout),
        "MemorySize": definition.memory_mb,
        "Version": _LATEST,
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }


def _json(body: Any, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, [("content-type", "application/json")], json.dumps(body).encode())
