"""An ASGI application as the answer of a function of Google Cloud."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.background import Background
from handlers.gcp_http import Answer

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/a/b", "raw_path": b"/a%2Fb", "headers": []}
BEGIN = {"type": "http.response.start", "status": 200, "headers": []}


def part(body: bytes, more: bool) -> dict[str, Any]:
    """A part of an answer's body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


class Function:
    """What an answer needs of one."""

    def __init__(self) -> None:
        self.outpost = SimpleNamespace(messages=Background())
        self.environment = SimpleNamespace(refresh=lambda: None)


async def answer(app: ASGIApp, function: Any, sent: list[Message], scope: Scope | None = None) -> None:
    """Have it answer; what was sent is in the list as soon as it was."""

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await Answer(app, function)(scope or dict(SCOPE), receive, send)


async def test_parts_are_streamed_and_the_end_waits_for_what_goes_on_beside() -> None:
    function, release, sent = Function(), asyncio.Event(), list[Message]()

    async def beside() -> None:
        await release.wait()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        function.outpost.messages.start(beside(), "beside")
        for message in (BEGIN, part(b"first", True), part(b"last", False)):
            await send(message)

    answering = asyncio.create_task(answer(app, function, sent))
    while len(sent) < 2:
        await asyncio.sleep(0)
    done, _ = await asyncio.wait([answering], timeout=0.1)
    assert not done
    assert sent == [BEGIN, part(b"first", True)]
    release.set()
    await answering
    assert sent[2:] == [part(b"last", False)]


async def test_an_application_gets_what_a_server_gives_and_nothing_of_the_frameworks_routing() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    routed = SCOPE | {"path_params": {"path": "a/b"}, "endpoint": app, "app": app, "router": app, "state": {}}
    await answer(app, Function(), [], routed)
    assert seen == [SCOPE]


async def test_an_error_after_the_answer_has_begun_is_logged_and_the_answer_is_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(BEGIN | {"status": 500})
        await send(part(b"Internal Server Error", False))
        raise RuntimeError("no pencils")

    await answer(app, Function(), sent)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert "no pencils" in caplog.text


async def test_an_error_before_the_answer_is_the_frameworks_to_tell() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("no pencils")

    with pytest.raises(RuntimeError, match="no pencils"):
        await answer(app, Function(), [])
