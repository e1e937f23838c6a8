"""AWS's services that functions use, in threads of this process: moto behind a port."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from local.template import Deployment, QueueResource, Site

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
NO_FILES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""So that nobody's real account is ever reached."""

_SSM = "ssm:"


class Account:
    """An account that is empty at first and forgotten at the end. Any credentials will do."""

    def __init__(self, listening: socket.socket) -> None:
        """Answers at that socket as soon as everything has been imported."""
        self._socket = listening
        host, port = listening.getsockname()
        self.site = Site(endpoint_url=f"http://{host}:{port}")
        self._server: BaseWSGIServer | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """By which boto3 finds it."""
        return {"AWS_ENDPOINT_URL": self.site.endpoint_url, **KEYS, **NO_FILES}

    @cache  # noqa: B019  # there is one of it
    def client(self, service: str) -> Any:
        """A client of that service."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.site.endpoint_url,
            region_name=self.site.region,
            **{name.lower(): value for name, value in KEYS.items()},
        )

    def put_secret(self, name: str, text: str) -> None:
        """Make or change a secret, or with ``ssm:NAME`` a parameter of SSM."""
        if name.startswith(_SSM):
            ssm = self.client("ssm")
            ssm.put_parameter(Name=name.removeprefix(_SSM), Value=text, Type="SecureString", Overwrite=True)
            return
        manager = self.client("secretsmanager")
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)

    def put_queues(self, deployment: Deployment) -> None:
        """Make or change the queues. One that is no longer deployed is left with its messages."""
        sqs = self.client("sqs")
        for queue in deployment.queues.values():
            sqs.create_queue(QueueName=queue.name)
        for queue in deployment.queues.values():
            sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=_attributes(queue, deployment))

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
        self._socket.close()

    def _serve(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line on stderr for each request
        host, port = self._socket.getsockname()
        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, port, application, threaded=True, fd=self._socket.fileno())
        self._server.serve_forever(poll_interval=0.1)


def _attributes(queue: QueueResource, deployment: Deployment) -> dict[str, str]:
    attributes = {
        "VisibilityTimeout": str(queue.visibility_seconds),
        "MessageRetentionPeriod": str(queue.retention_seconds),
        "DelaySeconds": str(queue.delay_seconds),
    }
    if queue.dead_letter_queue is not None:
        target = deployment.queues[queue.dead_letter_queue].arn
        redrive = {"deadLetterTargetArn": target, "maxReceiveCount": queue.max_receive_count}
        attributes["RedrivePolicy"] = json.dumps(redrive)
    return attributes
