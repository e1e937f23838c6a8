"""Servers behind an SSH node: reached through it only, and again after it has restarted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.hub import Server
from tests.e2e.tunnels.stack import OneContainer, SeparateNode
from tests.support.sshd import SshNode
from tests.support.waiting import eventually

pytestmark = [pytest.mark.ssh]

TunnelledStack = OneContainer | SeparateNode


@pytest.fixture(params=[OneContainer, SeparateNode], ids=["one container", "separate node"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TunnelledStack]:
    """A hub, an Outpost and an SSH node."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running: TunnelledStack = request.param(tmp_path, SshNode(Path(folder)))
        try:
            running.start()
            yield running
        finally:
            running.close()


def answers(server: Server) -> bool:
    """Does the hub reach the server?"""
    try:
        return server.get("api/status").is_success
    except httpx.HTTPError:
        return False


def far_end(server: Server) -> str:
    """Where the server itself listens: not where the hub looks."""
    service_url: str = server.processes()[0].environ()["JUPYTERHUB_SERVICE_URL"]
    assert service_url.startswith("http://127.0.0.77:")
    return service_url


def test_servers_are_reached_through_the_node_only_and_again_after_its_restart(stack: TunnelledStack) -> None:
    servers = [stack.new_server("lab").start(), stack.new_server("job").start(delayed=True)]
    kernels = [server.kernel() for server in servers]
    for kernel in kernels:
        kernel.run("x = 6")
    far_ends = [far_end(server) for server in servers]
    stack.lose_node()
    for server, url in zip(servers, far_ends, strict=True):
        assert not answers(server), "the hub has another way than the tunnel"
        assert httpx.get(f"{url}api").is_success, "the server itself runs"
    stack.come_back()
    for server, kernel in zip(servers, kernels, strict=True):
        eventually(lambda server=server: answers(server), 20, "the tunnel is there again")  # type: ignore[misc]
        assert kernel.run("x*7") == "42"
        assert server.model()["ready"]
        server.stop()
        server.assert_gone()
