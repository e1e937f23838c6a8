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
from http.client import HTTPException

log = logging.getLogger("ssh-node")

PAUSE_SECONDS = 1.0
_REFUSED_PAUSE_SECONDS = 10.0
_TIMEOUT_SECONDS = 5.0
_NO_ANSWER = 0


def main() -> int:
    """Tell ``OUTPOST_SSH_NODE_URL`` a new generation, until it is taken; 2 when a setting cannot be right.

    An Outpost that refuses is asked again as well: it may be the one that is being replaced, or get its token later.

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
        _wait_for(service)
    _tell(url, token, uuid.uuid4().hex)
    log.info("Outpost knows that this SSH node has restarted")
    return 0


def _wait_for(service: str) -> None:
    said = False
    while not greets(service):
        if not said:
            log.info("%s does not answer as an SSH server yet; trying on", service)
        said = True
        time.sleep(PAUSE_SECONDS)


def _tell(url: str, token: str, generation: str) -> None:
    """Until Outpost knows it; each kind of trouble is said once."""
    said = None
    while (status := _answer(url, token, generation)) >= 300 or status == _NO_ANSWER:
        if status != said and status == _NO_ANSWER:
            log.info("%s does not answer yet; trying on", url)
        elif status != said:
            log.error("%s does not take it that the SSH node has restarted: HTTP %d; trying on", url, status)
        said = status
        time.sleep(PAUSE_SECONDS if status == _NO_ANSWER else _REFUSED_PAUSE_SECONDS)


def greets(service: str) -> bool:
    """Does an SSH server answer at ``HOST:PORT``?"""
    host, _, port = service.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_SECONDS) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _answer(url: str, token: str, generation: str) -> int:
    """The HTTP status, or ``_NO_ANSWER``: an Outpost or its database that is away counts as silent."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"generation": generation}).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code if error.code < 500 else _NO_ANSWER
    except (OSError, HTTPException):
        return _NO_ANSWER


if __name__ == "__main__":
    sys.exit(main())
