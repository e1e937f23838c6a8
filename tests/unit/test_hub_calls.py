"""Whatever keeps a hub from being called, it counts as unreachable and is tried again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.hub_calls import HubCalls
from core.meter import NotCounted
from infra.hub_client import TornadoHubClient
from tests.support.recording_hub import RecordingHub


class Counted(NotCounted):
    """The outcomes of calls."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def hub_called(self, hub: str, call: str, outcome: str) -> None:
        """Note it."""
        self.outcomes.append(outcome)


def broken(_: JupyterHubOutpost) -> dict[str, Any]:
    """A hook of an operator."""
    raise LookupError("no vault")


def calls_with(request_kwargs: dict[str, Any] | Callable[..., Any], meter: Counted) -> HubCalls:
    """Calls of an Outpost that is configured like that."""
    outpost = JupyterHubOutpost(request_kwargs=request_kwargs)
    return HubCalls(TornadoHubClient(), lambda: outpost, meter)


MISTAKES: dict[str, tuple[dict[str, Any] | Callable[..., Any], str, str]] = {
    "an unknown key": ({"timeout": 3}, "", "unexpected keyword argument 'timeout'"),
    "a certificate that is not there": ({"client_cert": "/nowhere.crt"}, "A CA", "No such file"),
    "a hook that raises": (broken, "", "LookupError: no vault"),
    "a hub's CA that is none": ({}, "no PEM", "SSLError"),
}


@pytest.mark.parametrize(("request_kwargs", "ca", "said"), MISTAKES.values(), ids=MISTAKES.keys())
async def test_a_mistake_in_the_options_makes_the_hub_unreachable(
    request_kwargs: dict[str, Any] | Callable[..., Any], ca: str, said: str, certificate: str
) -> None:
    meter = Counted()
    calls = calls_with(request_kwargs, meter)
    with pytest.raises(HubUnreachable, match=f"request_kwargs.*{said}"):
        await calls.post("hub1", "events", "http://127.0.0.1:1/", "token", {}, certificate if ca == "A CA" else ca)
    assert meter.outcomes == ["unreachable"]


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PEM of a CA."""
    from certipy import Certipy

    certipy = Certipy(store_dir=str(tmp_path_factory.mktemp("ca")))
    certipy.create_ca("ca")
    with open(certipy.store.get_record("ca")["files"]["cert"]) as pem:
        return pem.read()


@pytest.mark.parametrize(
    ("status", "outcome"), [(204, "ok"), (404, "refused"), (429, "unreachable"), (503, "unreachable")]
)
async def test_the_hubs_answer_is_the_outcome(status: int, outcome: str) -> None:
    meter = Counted()
    with RecordingHub() as hub:
        hub.status = status
        try:
            await calls_with({}, meter).post("hub1", "tunnel", f"{hub.url}/", "token", {})
        except HubUnreachable:
            assert status == 503
    assert meter.outcomes == [outcome]


async def test_a_call_nobody_waits_for_any_longer_is_counted_too() -> None:
    meter = Counted()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        call = calls_with({}, meter).post("hub1", "tunnel", f"http://127.0.0.1:{silent.getsockname()[1]}/", "token", {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await call
    assert meter.outcomes == ["unreachable"]
