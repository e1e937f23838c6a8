"""Calls to hubs: verified, bounded in time, with the operator's options."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from certipy import Certipy

from core.errors import HubUnreachable
from infra.hub_client import TornadoHubClient
from tests.support.recording_hub import RecordingHub


@pytest.fixture
def tls_hub(tmp_path: Path) -> Iterator[tuple[RecordingHub, str]]:
    """A hub with a certificate of its own CA, as ``internal_ssl`` makes them; and that CA."""
    certipy = Certipy(store_dir=str(tmp_path))
    certipy.create_ca("hub-ca")
    files = certipy.create_signed_pair("hub", "hub-ca", alt_names=["IP:127.0.0.1"])["files"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    with RecordingHub(context) as hub:
        yield hub, Path(certipy.store.get_record("hub-ca")["files"]["cert"]).read_text()


async def post(hub: RecordingHub, ca: str = "", **options: object) -> int:
    """Tell it something."""
    status, _ = await TornadoHubClient().call("POST", f"{hub.url}/x", "t", {"a": 1}, ca=ca, options=options)
    return status


async def test_the_hub_is_verified_with_the_ca_that_came_with_the_service(tls_hub: tuple[RecordingHub, str]) -> None:
    hub, ca = tls_hub
    assert await post(hub, ca) == 200
    assert hub.calls == [("/x", "token t", {"a": 1})]


async def test_a_hub_that_nobody_vouches_for_is_not_told_anything(tls_hub: tuple[RecordingHub, str]) -> None:
    hub, _ = tls_hub
    with pytest.raises(HubUnreachable):
        await post(hub)
    assert hub.calls == []


async def test_verification_can_be_relaxed(tls_hub: tuple[RecordingHub, str]) -> None:
    hub, ca = tls_hub
    assert await post(hub, validate_cert=False) == 200
    assert await post(hub, ca, validate_cert=False) == 200


async def test_a_hub_that_does_not_answer_is_given_up_in_time(hub_stub: RecordingHub) -> None:
    hub_stub.delay_seconds = 5
    with pytest.raises(HubUnreachable):
        await post(hub_stub, request_timeout=0.2)


@pytest.mark.parametrize(("status", "passes"), [(200, True), (204, True), (403, True), (404, True), (500, False)])
async def test_only_what_a_later_try_may_better_is_unreachable(
    hub_stub: RecordingHub, status: int, passes: bool
) -> None:
    hub_stub.status = status
    if passes:
        assert await post(hub_stub) == status
    else:
        with pytest.raises(HubUnreachable):
            await post(hub_stub)


async def test_an_option_that_does_not_exist_is_named(hub_stub: RecordingHub) -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        await post(hub_stub, no_such_option=1)
