"""``python -m handlers.ssh_node``: the SSH node, where it runs beside Outpost, says once that it has restarted."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from http.client import HTTPException

log = logging.getLogger("ssh-node")

PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0
_MISTAKES = (401, 404, 422)


def main() -> int:
    """Tell ``OUTPOST_SSH_NODE_URL`` a new generation, until it is taken; 2 when Outpost refuses it.

    ``OUTPOST_SSH_NODE_SERVICE`` (``HOST:PORT``) is waited for first: a hub that is asked before it can reach the
    node gives its server up.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    url, token = os.environ.get("OUTPOST_SSH_NODE_URL", ""), os.environ.get("OUTPOST_SSH_NODE_TOKEN", "")
    if not url.startswith(("http://", "https://")) or not token:
        log.error(
            "OUTPOST_SSH_NODE_URL, OUTPOST_SSH_NODE_TOKEN: both must be set, to Outpost's /ssh-node and its token"
        )
        return 2
    service = os.environ.get("OUTPOST_SSH_NODE_SERVICE", "")
    if service and not service.rpartition(":")[2].isdecimal():
        log.error("OUTPOST_SSH_NODE_SERVICE: must be HOST:PORT, where hubs reach the SSH node")
        return 2
    if service:
        _repeat(lambda: greets(service), f"{service} does not answer as an SSH server yet")
    generation = uuid.uuid4().hex
    status = _repeat(lambda: _tell(url, token, generation), f"{url} does not answer yet")
    if status in _MISTAKES:
        log.error("%s refuses to hear that the SSH node has restarted: HTTP %d", url, status)
        return 2
    log.info("Outpost knows that this SSH node has restarted")
    return 0


def _repeat(attempt: Callable[[], int], waiting: str) -> int:
    """The first result of ``attempt`` that is not 0; says once that it waits."""
    said = False
    while not (result := attempt()):
        if not said:
            log.info("%s; trying on", waiting)
        said = True
        time.sleep(PAUSE_SECONDS)
    return result


def greets(service: str) -> bool:
    """Does an SSH server answer at ``HOST:PORT``?"""
    host, _, port = service.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _tell(url: str, token: str, generation: str) -> int:
    """The status of an answer that settles it, else 0."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"generation": generation}).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code if error.code in _MISTAKES else 0
    except (OSError, HTTPException):
        return 0


if __name__ == "__main__":
    sys.exit(main())
