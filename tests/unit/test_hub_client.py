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


async def test_another_hubs_ca_vouches_for_nobody_else(tls_hub: tuple[RecordingHub, str], tmp_path: Path) -> None:
    hub, _ = tls_hub
    certipy = Certipy(store_dir=str(tmp_path / "other"))
    certipy.create_ca("hub-ca")
    other = Path(certipy.store.get_record("hub-ca")["files"]["cert"]).read_text()
    with pytest.raises(HubUnreachable):
        await post(hub, other)
    assert hub.calls == []


async def test_a_hub_that_asks_for_a_certificate_is_shown_the_operators(tmp_path: Path) -> None:
    certipy = Certipy(store_dir=str(tmp_path))
    certipy.create_ca("hub-ca")
    ca = certipy.store.get_record("hub-ca")["files"]["cert"]
    files = certipy.create_signed_pair("hub", "hub-ca", alt_names=["IP:127.0.0.1"])["files"]
    own = certipy.create_signed_pair("outpost", "hub-ca")["files"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with RecordingHub(context) as hub:
        with pytest.raises(HubUnreachable):
            await post(hub, Path(ca).read_text())
        assert await post(hub, Path(ca).read_text(), client_cert=own["cert"], client_key=own["key"]) == 200
    assert len(hub.calls) == 1


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
