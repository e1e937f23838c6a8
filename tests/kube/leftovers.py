"""What each operation leaves in its process, as JSON: ``python -m tests.kube.leftovers NAMESPACE``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import psutil

from tests.kube.spawning import Spawning, a_service


def what_is_there() -> dict[str, Any]:
    """Tasks, descriptors, connections and threads of this process."""
    gc.collect()
    me = psutil.Process()
    return {
        "tasks": sorted(str(task.get_coro()) for task in asyncio.all_tasks()),
        "descriptors": sorted(_target(path) for path in Path("/proc/self/fd").iterdir()),
        "connections": sorted(str(connection) for connection in me.net_connections()),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "children": [child.pid for child in me.children()],
    }


def _target(path: Path) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # the descriptor of this very look
        return ""


async def left_by(operation: Awaitable[Any]) -> tuple[Any, dict[str, Any]]:
    """What it returns, and what is there that was not there before."""
    before = what_is_there()
    result = None
    with contextlib.suppress(Exception, asyncio.CancelledError):
        result = await operation
    after = what_is_there()
    return result, {kind: (before[kind], after[kind]) for kind in after if after[kind] != before[kind]}


async def main(namespace: str) -> None:
    """All operations, one after the other."""
    spawning = Spawning(namespace)
    spawning.config.KubeSpawner.services_enabled = True
    await spawning.stop(await spawning.start(a_service("warm")))  # modules and caches
    left = {}
    running, left["start"] = await left_by(spawning.start(a_service()))
    _, left["poll"] = await left_by(spawning.poll(running))
    _, left["logs"] = await left_by(spawning.logs(running))
    _, left["stop"] = await left_by(spawning.stop(running))
    spawning.config.KubeSpawner.start_timeout = 4
    _, left["failed start"] = await left_by(spawning.start(a_service("fails")))
    spawning.config.KubeSpawner.start_timeout = 60
    cancelled = asyncio.wait_for(spawning.start(a_service("cancelled")), 2)
    _, left["cancelled start"] = await left_by(cancelled)
    sys.stdout.write(json.dumps(left))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
