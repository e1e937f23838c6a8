"""The calls to a Spawner, in JupyterHub's order and within bounds of time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from core.config import JupyterHubOutpost
from core.errors import StartFailed, StopFailed
from core.faults import fault_point
from core.hooks import resolve
from core.model import Inputs, JsonDict, Service
from core.spawners import certs
from core.spawners.adapter import StatelessSpawner

T = TypeVar("T")

POLL_SECONDS = 15.0
"""Below the time-out of the hub's own request, so that a poll that hangs is answered."""

STOP_SECONDS = 120.0
"""JupyterHub's local Spawners take up to 65 seconds to stop a stubborn process."""


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What ``work`` returns. Raises ``TimeoutError`` after ``seconds``, even if ``work`` cannot be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks any more
            task.cancel()
    if not task.done():
        raise TimeoutError
    return task.result()


async def prepare(spawner: Any, service: Service) -> None:
    """All that comes before the first resource exists. Raises ``StartFailed`` when the hooks take too long."""
    try:
        await within(spawner.start_timeout, _prepare(spawner, service))
    except TimeoutError:
        raise StartFailed(f"The hooks before the start did not end within {spawner.start_timeout} seconds") from None


async def _prepare(spawner: Any, service: Service) -> None:
    """A clean state, the hooks, the user's options."""
    spawner.clear_state()
    spawner.notes = {}
    spawner.api_token = service.body.api_token
    spawner._spawn_pending = spawner._start_pending = True
    await spawner.run_auth_state_hook(dict(service.inputs.auth_state) or None)
    if getattr(spawner, "apply_user_options", None):
        await spawner._run_apply_user_options(spawner.user_options)
    await resolve(spawner.run_pre_spawn_hook)
    if spawner.needs_mark or service.inputs.certs:
        assert spawner.mark


async def start(spawner: Any, inputs: Inputs) -> Any:
    """Run ``start()`` within the Spawner's own ``start_timeout``; what it returned."""
    if inputs.certs:
        paths, spawner.internal_trust_bundles = certs.write(spawner.mark, inputs)
        spawner.cert_paths = await resolve(spawner.move_certs, paths)
        fault_point("start:certificates")
    try:
        return await within(spawner.start_timeout, resolve(spawner.start))
    except TimeoutError:
        raise StartFailed(f"The server did not start within {spawner.start_timeout} seconds") from None
    finally:
        spawner._spawn_pending = spawner._start_pending = False
        if inputs.certs:
            certs.remove_unused(spawner.mark, spawner.cert_paths)


def state_of(spawner: StatelessSpawner) -> JsonDict:
    """What the next object needs to know. Raises ``StartFailed`` when it could not be stored as JSON."""
    state = spawner.save_state()
    try:
        json.dumps(state)
    except (TypeError, ValueError) as error:
        raise StartFailed(f"The Spawner's get_state() does not return JSON: {error}") from None
    return state


async def response_of(spawner: Any, returned: Any, outpost: JupyterHubOutpost) -> str:
    """Where the hub finds the server: ``scheme://host:port``, or ``""`` when that is not known yet."""
    if outpost.sanitize_start_response is not None:
        returned = await resolve(outpost.sanitize_start_response, spawner, returned)
    return as_address(returned, "https" if spawner.internal_ssl else "http")


def as_address(returned: Any, scheme: str) -> str:
    """Spawners return URLs or (ip, port); hubs take ``host:port`` or ``scheme://host:port``, without a path."""
    if not returned:
        return ""
    if isinstance(returned, tuple | list):
        if len(returned) != 2:
            raise StartFailed(f"The Spawner's start returned {len(returned)} values, not an (ip, port) pair")
        host, port = returned
        host = f"[{host}]" if ":" in str(host) else host
        return f"{scheme}://{host}:{port}"
    text = str(returned)
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc}" if "://" in text and parts.netloc else text


async def poll(spawner: StatelessSpawner) -> int | None:
    """The Spawner's answer, within bounds of time. One that is no number is 1: hubs take exit codes."""
    status: object = await within(POLL_SECONDS, resolve(spawner.poll))
    return status if status is None or isinstance(status, int) else 1


async def stop(spawner: Any) -> None:
    """Stop, make sure that it is gone, and clean up. Raises ``StopFailed`` while something may be left."""
    try:
        await within(STOP_SECONDS, resolve(spawner.stop))
        gone = await within(POLL_SECONDS, spawner.is_gone())
    except TimeoutError:
        raise StopFailed(f"The server did not stop within {STOP_SECONDS:.0f} seconds; it is tried again") from None
    if not gone:
        raise StopFailed("The server still runs after its Spawner stopped it; it is tried again")
    fault_point("stop:gone")
    try:
        await within(STOP_SECONDS, resolve(spawner.run_post_stop_hook))
    except Exception:  # as in JupyterHub, the hook cannot keep a server alive
        spawner.log.exception("post_stop_hook failed")
    if "mark" in spawner.notes:
        certs.remove(spawner.mark)


async def logs(spawner: StatelessSpawner) -> list[str]:
    """The server's last lines; none when they cannot be had."""
    try:
        return await within(POLL_SECONDS, spawner.server_logs())
    except Exception:  # logs are a courtesy
        spawner.log.exception("could not collect the server's logs")
        return []
