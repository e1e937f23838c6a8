"""AWS on this machine: moto behind a port, called by real boto3 clients."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

import boto3
import httpx
from botocore.config import Config
from moto.server import ThreadedMotoServer

from infra import aws

REGION = "eu-central-1"
ALL_ALLOWED = "inf"

_session_of: dict[str, str | None] = dict.fromkeys(
    ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
)
"""The environment that Outpost's session has read."""


class Call(NamedTuple):
    """One call of a client."""

    operation: str
    params: dict[str, Any]


class Aws:
    """One server for all tests; each begins with an empty account."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A client of the tests' own: it has more patience than Outpost's, and never repeats a call."""
        return _patient(service, self.url)

    def reset(self) -> None:
        """Forget everything."""
        self._tell("reset-auth", ALL_ALLOWED)
        self._tell("reset")

    def key_without_rights(self) -> dict[str, str]:
        """From now on calls need a permission; the variables of a user who has none."""
        iam = self.client("iam")
        iam.create_user(UserName="nobody")
        key = iam.create_access_key(UserName="nobody")["AccessKey"]
        self._tell("reset-auth", "0")
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def _tell(self, what: str, content: str = "") -> None:
        httpx.post(f"{self.url}/moto-api/{what}", content=content, verify=False).raise_for_status()

    def secret(self, name: str, **values: object) -> None:
        """Make, or change, a secret that is a JSON object."""
        manager, text = self.client("secretsmanager"), json.dumps(values)
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)

    def queue(self, name: str = "worker") -> str:
        """Make a queue; its URL."""
        return str(self.client("sqs").create_queue(QueueName=name)["QueueUrl"])

    def messages(self, url: str) -> list[str]:
        """The bodies of all messages that can be received now."""
        found: list[str] = []
        while got := self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found += [message["Body"] for message in got]
        return found

    def put(self, bucket: str, key: str, text: str) -> str:
        """Put an object into a bucket of that name; its URL."""
        s3 = self.client("s3")
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        return f"s3://{bucket}/{key}"


@cache
def _patient(service: str, url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.session.Session("testing", "testing", region_name=REGION).client(
        service, endpoint_url=url, config=config
    )


def calls_of(service: str) -> list[Call]:
    """A list that grows with each call of Outpost's client of that service."""
    calls: list[Call] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append(Call(model.name, params))

    aws.client(service).meta.events.register("provide-client-params.*.*", note)
    return calls


def forget_clients() -> None:
    """As a new process: the environment is read again. (A session is expensive, and kept where that shows nothing.)"""
    if any(os.environ.get(name) != value for name, value in _session_of.items()):
        aws.session.cache_clear()
        _session_of.update({name: os.environ.get(name) for name in _session_of})
    aws._client.cache_clear()
    aws.public_url.cache_clear()


@contextmanager
def server(address: str = "127.0.0.1") -> Iterator[Aws]:
    """A server for as long as the block runs."""
    moto = ThreadedMotoServer(address, 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    try:
        yield Aws(f"http://{host}:{port}")
    finally:
        moto.stop()
