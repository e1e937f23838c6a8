"""Following a few objects by list and watch, for as long as one operation waits for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from core.model import JsonDict
from core.spawners.kube_client import BROKEN, OperationClient, hang_up
from core.spawners.kube_failures import KubeError, is_passing

LISTED, DELETED = "LISTED", "DELETED"

WATCH_SECONDS = 50
"""The API server ends a watch after that time, and it is asked for again."""

_SILENCE = 5.0
"""A connection that says nothing for so long after the end of its watch is dead."""

_SHORTEST_WATCH = 1.0
"""What the API server ends sooner was no proper watch: asking again at once would be a busy loop."""

_GONE = 410
_LONGEST_PAUSE = 5.0
_BROKEN_WATCH: tuple[type[Exception], ...] = (*BROKEN, KubeError, ValueError)
"""``ValueError``: the last line of a connection that was cut off is no JSON."""


Change = tuple[str, JsonDict]


@dataclass(frozen=True)
class Collection:
    """Objects of one kind and namespace, picked by fields."""

    kind: str
    namespace: str
    fields: str

    @property
    def path(self) -> str:
        """Where the API has them."""
        return "/api/v1/namespaces/{namespace}/" + self.kind


async def follow(client: OperationClient, collection: Collection) -> AsyncGenerator[Change, None]:
    """Say what is there (``LISTED``), then each change (``ADDED``, ``MODIFIED``, ``DELETED``), for ever.

    After a broken connection, and when the API has forgotten where the watch was, it is listed again.
    Raises ``KubeError`` when the API refuses.
    """
    failures = 0
    while True:
        listed = await client.get(collection.path, {"namespace": collection.namespace}, fieldSelector=collection.fields)
        yield LISTED, listed
        async with aclosing(_changes(client, collection, listed)) as changes:
            async for change in changes:
                failures = 0
                yield change
        failures += 1
        await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2**failures) if failures > 1 else 0)


async def _changes(client: OperationClient, collection: Collection, listed: JsonDict) -> AsyncGenerator[Change, None]:
    """Changes since a list, until the connection breaks or the API wants it to be listed again."""
    version = listed["metadata"]["resourceVersion"]
    now = asyncio.get_running_loop().time
    try:
        is_served = True
        while is_served:
            began = now()
            async with aclosing(_watch(client, collection, version)) as changes:
                async for kind, changed in changes:
                    version = changed["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield kind, changed
            is_served = now() - began > _SHORTEST_WATCH
    except _BROKEN_WATCH as error:
        if isinstance(error, KubeError) and not (is_passing(error.status) or error.status == _GONE):
            raise


async def _watch(client: OperationClient, collection: Collection, version: str) -> AsyncGenerator[Change, None]:
    """One watch, until the API server ends it."""
    answer = await client.open(
        collection.path,
        {"namespace": collection.namespace},
        silence=WATCH_SECONDS + _SILENCE,
        fieldSelector=collection.fields,
        resourceVersion=version,
        timeoutSeconds=WATCH_SECONDS,
        watch="true",
        allowWatchBookmarks="true",
    )
    try:
        while line := await answer.content.readline():
            change = json.loads(line)
            if change["type"] == "ERROR":
                raise KubeError(int(change["object"].get("code") or 0), str(change["object"].get("message")))
            yield change["type"], change["object"]
    finally:
        hang_up(answer)


class PodFollower:
    """The present state of one pod, and what is said about it, kept up to date by two tasks until it is closed."""

    def __init__(self, client: OperationClient, namespace: str, name: str, log: Any) -> None:
        self.key = f"{namespace}/{name}"
        self.pod: JsonDict | None = None
        self.events: list[JsonDict] = []
        """In the order in which they came; those of the list by their time."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._log = log
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listed: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def follow_pod(self) -> None:
        """From now on ``pod`` is up to date. Raises what following it raises."""
        await self._begin("pods", f"metadata.name={self._name}")

    async def follow_events(self) -> None:
        """From now on ``events`` is up to date. They are a courtesy: where they cannot be had, there are none."""
        try:
            await self._begin("events", f"involvedObject.kind=Pod,involvedObject.name={self._name}")
        except KubeError as error:
            self._log.warning("no events of the pod %s: %s", self.key, error)

    async def next_change(self, seconds: float) -> None:
        """Wait until the pod has changed, at most that long. Raises what following it raises."""
        task, waiter = self._tasks["pods"], asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({task, waiter}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if task.done():
            task.result()
        self._changed.clear()

    def put(self, pod: JsonDict | None) -> None:
        """Take over what an answer has just said of the pod."""
        self.pod = pod
        self._changed.set()

    async def close(self) -> None:
        """End both tasks."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _begin(self, kind: str, fields: str) -> None:
        if kind not in self._tasks:
            self._listed[kind] = asyncio.Event()
            self._tasks[kind] = asyncio.create_task(self._follow(Collection(kind, self._namespace, fields)))
        listed = asyncio.ensure_future(self._listed[kind].wait())
        try:
            await asyncio.wait({listed, self._tasks[kind]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listed.cancel()
        if self._tasks[kind].done():
            self._tasks[kind].result()

    async def _follow(self, collection: Collection) -> None:
        take = self._take_pod if collection.kind == "pods" else self._take_event
        async with aclosing(follow(self._client, collection)) as changes:
            async for kind, content in changes:
                take(kind, content)
                self._listed[collection.kind].set()

    def _take_pod(self, kind: str, content: JsonDict) -> None:
        if kind == LISTED:
            self.put(content["items"][0] if content["items"] else None)
        elif kind != DELETED:
            self.put(content)
        elif self.pod is not None and self.pod["metadata"]["uid"] == content["metadata"]["uid"]:
            self.put(None)

    def _take_event(self, kind: str, content: JsonDict) -> None:
        known = {event["metadata"]["uid"]: number for number, event in enumerate(self.events)}
        new = sorted(content["items"], key=_time) if kind == LISTED else [content] if kind != DELETED else []
        for event in new:
            number = known.get(event["metadata"]["uid"])
            if number is None:
                self.events.append(event)
            else:
                self.events[number] = event


def _time(event: JsonDict) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
