"""What the emulator adds to a warm invocation: ``python -m bench.emulator [--events 300]``.

The handler is empty, so all the time is the emulator's, the runtime client's and the caller's own.
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from bench.report import machine
from local.aws.front import FrontEnd
from local.aws.function import Function
from local.aws.http_events import FUNCTION_URL, HTTP_API
from local.aws.instance import REGION, Definition
from local.aws.lambda_api import LambdaApi

NAME = "empty"
KEYS = {"aws_access_key_id": "bench", "aws_secret_access_key": "bench"}
_WARM_UP = 20
_INVOKE = f"/2015-03-31/functions/{NAME}/invocations"

Call = Callable[[], object]


def main() -> None:
    """A row for each way to invoke, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300, help="of each way")
    events = parser.parse_args().events
    about = machine()
    print(f"python {about['python']}, {about['cores']} cores, load {about['load'][0]:.1f}; milliseconds\n")
    print("| way | least | median | 95 % |\n| --- | --- | --- | --- |")
    for freeze in (True, False):
        with ways(freeze) as calls:
            for name, call in calls.items():
                least, median, most = measured(call, events)
                print(
                    f"| {name}{'' if freeze else ', not frozen'} | {least:.2f} | {median:.2f} | {most:.2f} |",
                    flush=True,
                )


def measured(call: Call, events: int) -> tuple[float, float, float]:
    """The least, the median and the 95th percentile of one caller's waiting, in milliseconds."""
    for _ in range(_WARM_UP):
        call()
    took = []
    for _ in range(events):
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    took.sort()
    return took[0], took[len(took) // 2], took[int(len(took) * 0.95)]


@contextmanager
def ways(freeze: bool) -> Iterator[dict[str, Call]]:
    """One function, and all that can invoke it."""
    function = Function(replace(Definition(NAME, "bench.empty.handler"), freeze=freeze))
    servers = (LambdaApi({NAME: function}), FrontEnd(function, FUNCTION_URL), FrontEnd(function, HTTP_API))
    for server in servers:
        server.start()
    api, url, http_api = servers
    config = Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client("lambda", endpoint_url=api.url, region_name=REGION, config=config, **KEYS)
    try:
        yield {
            "direct": lambda: function.invoke({}),
            "Invoke API": _requests(api.url, "POST", _INVOKE),
            "Invoke API, by boto3": lambda: client.invoke(FunctionName=NAME)["Payload"].read(),
            "Function URL": _requests(url.url, "GET", "/"),
            "HTTP API": _requests(http_api.url, "GET", "/"),
        }
    finally:
        for server in servers:
            server.close()
        function.close()


def _requests(base: str, method: str, path: str) -> Call:
    connection = http.client.HTTPConnection(urlsplit(base).netloc)

    def call() -> None:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == http.client.OK, answer.status

    return call


if __name__ == "__main__":
    main()
