"""A notebook kernel, spoken to over its websocket as JupyterLab does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

BINARY = Subprotocol("v1.kernel.websocket.jupyter.org")
"""What browsers ask for; without a subprotocol the messages are JSON."""

_REPLY_SECONDS = 30


class Kernel:
    """A kernel of a running server."""

    def __init__(self, server_url: str, token: str, kernel_id: str) -> None:
        self._url = f"{server_url}api/kernels/{kernel_id}"
        self._headers = {"Authorization": f"token {token}"}

    @classmethod
    def started(cls, server_url: str, token: str) -> Kernel:
        """Start one."""
        headers = {"Authorization": f"token {token}"}
        response = httpx.post(f"{server_url}api/kernels", headers=headers, json={}, timeout=30)
        assert response.status_code == 201, f"{response.status_code} {response.text}"
        return cls(server_url, token, response.json()["id"])

    def run(self, code: str, subprotocol: Subprotocol | None = None) -> str:
        """What the last expression of ``code`` is, as text. Fails with the kernel's error when there is one."""
        session = uuid.uuid4().hex
        with self._connected(session, subprotocol) as websocket:
            request = _execute_request(session, code)
            websocket.send(_packed(request) if subprotocol else json.dumps(request))
            return _result(websocket, request["header"]["msg_id"])

    @contextmanager
    def _connected(self, session: str, subprotocol: Subprotocol | None) -> Iterator[ClientConnection]:
        url = f"ws{self._url.removeprefix('http')}/channels?session_id={session}"
        offered = [subprotocol] if subprotocol else None
        with connect(url, additional_headers=self._headers, subprotocols=offered, max_size=None) as websocket:
            assert websocket.subprotocol == subprotocol
            yield websocket


def _execute_request(session: str, code: str) -> dict[str, Any]:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": session,
        "date": datetime.now(UTC).isoformat(),
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}


def _result(websocket: ClientConnection, msg_id: str) -> str:
    result = ""
    while True:
        message = _unpacked(websocket.recv(timeout=_REPLY_SECONDS))
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        content = message["content"]
        match message["header"]["msg_type"]:
            case "error":
                raise AssertionError("\n".join(content["traceback"]))
            case "execute_result":
                result = content["data"]["text/plain"]
            case "status" if content["execution_state"] == "idle":
                return result


def _packed(message: dict[str, Any]) -> bytes:
    parts = ("header", "parent_header", "metadata", "content")
    frames = [json.dumps(message[part]).encode() for part in parts]
    packed: bytes = serialize_msg_to_ws_v1(frames, message["channel"])  # type: ignore[no-untyped-call]
    return packed


def _unpacked(received: str | bytes) -> dict[str, Any]:
    if isinstance(received, str):
        message: dict[str, Any] = json.loads(received)
        return message
    _, frames = deserialize_msg_from_ws_v1(received)  # type: ignore[no-untyped-call]
    parts = ("header", "parent_header", "metadata", "content")
    return {part: json.loads(frame) for part, frame in zip(parts, frames, strict=False)}
