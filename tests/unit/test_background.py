"""Work beside requests that share a loop."""

from __future__ import annotations

import asyncio
import logging

import pytest

from core.background import Background, own_tasks


async def test_who_drains_waits_for_his_own_tasks_only_and_cancels_no_others() -> None:
    background, release, done = Background(), asyncio.Event(), []

    async def task(name: str) -> None:
        await release.wait()
        done.append(name)

    async def request(name: str, seconds: float) -> int:
        own_tasks()
        background.start(task(name), name)
        return await background.drain(seconds)

    patient = asyncio.create_task(request("of the patient", 30))
    assert await asyncio.create_task(request("of the hasty", 0)) == 1
    assert not patient.done()
    release.set()
    assert await patient == 0
    assert done == ["of the patient"]


async def test_what_a_task_starts_belongs_to_who_started_the_task() -> None:
    background, done = Background(), asyncio.Event()

    async def second() -> None:
        await asyncio.sleep(0)
        done.set()

    async def first() -> None:
        background.start(second(), "second")

    own_tasks()
    task = background.start(first(), "first")
    await task
    assert await background.drain(30) == 0
    assert done.is_set()


async def test_a_task_that_fails_is_logged_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def failing() -> None:
        raise RuntimeError("no pencils")

    background.start(failing(), "sharpening")
    assert await background.drain(30) == 0
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "sharpening failed")
    ]
