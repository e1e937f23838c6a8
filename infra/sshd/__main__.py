"""``python -m infra.sshd [COMMAND ...]``: an SSH node, and beside it what else its container runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import Process

from core.errors import ConfigError
from infra.sshd.follow import follow
from infra.sshd.node import Node

_MISTAKE = 2
_LONGEST_END_SECONDS = 28
"""Below Kubernetes's 30 seconds, above what the server takes."""
_LOOK_SECONDS = 30


def main(command: list[str], look_seconds: float = _LOOK_SECONDS) -> int:
    """Run sshd and ``command`` until one of them ends or SIGTERM comes; then both end. The exit code.

    ``command`` sees an ``OUTPOST_SSH_GENERATION`` that is new with each call, as the SSH node is. Keys of hubs that
    change are let in or refused ``look_seconds`` later at the latest.
    """
    try:
        node = Node.from_environment(os.environ)
        sshd = node.prepare()
    except ConfigError as error:
        print(f"outpost: {error}", file=sys.stderr)  # noqa: T201
        return _MISTAKE
    os.environ.setdefault("OUTPOST_SSH_GENERATION", uuid.uuid4().hex)
    return asyncio.run(_together(sshd, command, node, look_seconds))


async def _together(sshd: list[str], command: list[str], node: Node, look_seconds: float) -> int:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    processes = [await asyncio.create_subprocess_exec(*words) for words in (sshd, command) if words]
    ended = [asyncio.create_task(process.wait()) for process in processes]
    waiting = asyncio.create_task(asked.wait())
    following = asyncio.create_task(follow(node, look_seconds))
    await asyncio.wait([*ended, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    following.cancel()
    first = next((process for process in processes if process.returncode is not None), None)
    await _end(processes)
    if first is not None and not asked.is_set():
        return first.returncode or 1  # neither should end by itself
    return max(0, processes[-1].returncode or 0)


async def _end(processes: list[Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.terminate()
    _, late = await asyncio.wait(
        [asyncio.create_task(process.wait()) for process in processes], timeout=_LONGEST_END_SECONDS
    )
    for process in processes if late else []:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
