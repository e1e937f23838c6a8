"""The Kubernetes client of one operation: nothing of it is shared, and nothing is left of it when it is closed."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException, CoreV1Api
from kubernetes_asyncio.client.rest import RESTClientObject

from core.model import JsonDict
from core.spawners import kube_access
from core.spawners.kube_failures import KubeError, explained, is_passing, retry_after, unreachable

logging.getLogger(RESTClientObject.__module__).setLevel(logging.INFO)
"""On DEBUG it would write down the bodies of secrets and of pods with their tokens."""

BROKEN: tuple[type[Exception], ...] = (aiohttp.ClientError, OSError, TimeoutError)
"""What a connection may raise that breaks."""

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_BEARER = ["BearerToken"]
_PLAIN = {200: "object", 201: "object", 202: "object"}
"""The client then hands JSON out as it is."""

_READ_BUFFER = 2**21
"""One event of a watch is one line, and an object may have 1.5 MiB."""


class OperationClient(ApiClient):
    """Reads its configuration at its first request, and once more in a request whose credentials are refused.

    Requests that may work a moment later are repeated for ``patience`` seconds, and until ``deadline`` (of the loop's
    clock) at most; without a deadline they are made once. All errors are ``KubeError``, or ``ConfigError`` when there
    is no usable configuration.
    """

    deadline: float | None = None
    patience = math.inf

    def __init__(self, overrides: kube_access.Overrides, request_timeout: float) -> None:
        # The base class would open a session to wherever the process-wide configuration points.
        self._overrides = overrides
        self._request_timeout = request_timeout
        self._reading = asyncio.Lock()
        self._sessions: dict[ssl.SSLContext, _Rest] = {}
        self._is_closed = False
        self.configuration: Any = None
        self.rest_client: Any = None
        self.default_headers = {"User-Agent": "outpost"}
        self.cookie: Any = None
        self.client_side_validation = True

    async def get(self, path: str, where: JsonDict, **query: str | int) -> JsonDict:
        """An object or a list, as JSON."""
        return await self._json(path, "GET", where, list(query.items()))

    async def create(self, path: str, where: JsonDict, body: Any) -> JsonDict:
        """Make an object; what was made, as JSON."""
        return await self._json(path, "POST", where, [], body)

    async def delete(self, path: str, where: JsonDict, body: Any) -> JsonDict:
        """Ask for the end of an object."""
        return await self._json(path, "DELETE", where, [], body)

    async def open(self, path: str, where: JsonDict, silence: float | None = None, **query: str | int) -> Any:
        """An answer to be read piece by piece, and closed; it may be silent for so many seconds at a time."""
        seconds = (self._request_timeout, silence) if silence else self._request_timeout
        return await self.call_api(
            path,
            "GET",
            where,
            list(query.items()),
            {"Accept": "*/*"},
            auth_settings=_BEARER,
            _preload_content=False,
            _request_timeout=seconds,
        )

    async def _json(self, path: str, method: str, where: JsonDict, query: list[Any], body: Any = None) -> JsonDict:
        answer: JsonDict = await self.call_api(
            path,
            method,
            where,
            query,
            {"Accept": "application/json"},
            body=body,
            auth_settings=_BEARER,
            response_types_map=_PLAIN,
            _return_http_data_only=True,
        )
        return answer

    async def call_api(self, *arguments: Any, **options: Any) -> Any:
        """One call, as often as it takes."""
        if options.get("_request_timeout") is None:
            options["_request_timeout"] = self._request_timeout
        attempt, renewed, began = 0, False, asyncio.get_running_loop().time()
        while True:
            try:
                await self._connect()
                return await self._once(*arguments, **options)
            except ApiException as error:
                if error.status == 401 and not renewed:
                    renewed = True
                    self.rest_client = None
                    continue
                failure, pause = explained(error), retry_after(error)
            except BROKEN as error:
                failure, pause = unreachable(self._host, error, self._request_timeout), 0.0
            failure.is_repeated = attempt > 0
            if not await self._pause(failure, attempt, pause, began):
                raise failure from None
            attempt += 1

    @property
    def _host(self) -> str:
        return str(self.configuration.host) if self.configuration else "its address"

    async def _once(self, *arguments: Any, **options: Any) -> Any:
        answer = await super().call_api(*arguments, **options)
        if not options.get("_preload_content", True) and answer.status >= 400:
            async with answer:
                body = await answer.read()
            error = ApiException(status=answer.status, reason=answer.reason)
            error.body, error.headers = body, answer.headers
            raise error
        return answer

    async def _pause(self, failure: KubeError, attempt: int, at_least: float, began: float) -> bool:
        """Wait before the next attempt; False when there is none."""
        if self.deadline is None or not is_passing(failure.status):
            return False
        backing_off = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 10)) * random.uniform(0.5, 1)  # noqa: S311
        seconds = max(backing_off, at_least)
        if asyncio.get_running_loop().time() + seconds > min(self.deadline, began + self.patience):
            return False
        await asyncio.sleep(seconds)
        return True

    async def _connect(self) -> None:
        async with self._reading:
            if self._is_closed:
                raise KubeError(0, "The operation that this Kubernetes client was made for has ended")
            if self.rest_client is None:
                access = await kube_access.read(self._overrides)
                self.configuration = access.configuration
                # Others may still use an earlier session: it is closed with all others.
                if access.tls not in self._sessions:
                    self._sessions[access.tls] = _Rest(access)
                self.rest_client = self._sessions[access.tls]

    async def close(self) -> None:
        """Close all connections; no request is possible any more."""
        self._is_closed = True
        async with self._reading:
            while self._sessions:
                _, rest = self._sessions.popitem()
                await rest.close()
        await asyncio.sleep(0)  # the loop then lets go of connections that were hung up


def hang_up(answer: Any) -> None:
    """Close an answer that has not ended, and its connection at once: nobody waits for the API to agree."""
    transport = answer.connection.transport if answer.connection is not None else None
    answer.close()
    if transport is not None:
        transport.abort()


class _Rest(RESTClientObject):
    """The base class with a TLS context that is made already, and without the threads of aiohttp's conveniences."""

    def __init__(self, access: kube_access.Access) -> None:
        configuration = access.configuration
        self.server_hostname: Any = configuration.tls_server_name
        self.proxy: Any = configuration.proxy or _proxy_for(configuration.host or "")
        self.proxy_headers: Any = configuration.proxy_headers
        connector = aiohttp.TCPConnector(
            limit=configuration.connection_pool_maxsize, ssl=access.tls, resolver=aiohttp.ThreadedResolver()
        )
        self.pool_manager = aiohttp.ClientSession(connector=connector, read_bufsize=_READ_BUFFER)


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment names. Left to aiohttp, each request would go through two threads for it."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def core_api(overrides: kube_access.Overrides, request_timeout: float) -> CoreV1Api:
    """The API of pods, services, secrets and claims for one operation; close its ``api_client`` at the end."""
    return CoreV1Api(OperationClient(overrides, request_timeout))


@contextmanager
def no_shared_client() -> Iterator[None]:
    """In the block, KubeSpawner's constructor reads no configuration, and makes no client that outlives it."""
    module: Any = sys.modules["kubespawner.spawner"]
    kept = module.shared_client, module.load_config
    module.shared_client = module.load_config = lambda *_, **__: None
    try:
        yield
    finally:
        module.shared_client, module.load_config = kept
