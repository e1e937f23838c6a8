"""An SSH node that runs beside Outpost says when it has restarted, and hubs set their tunnels up again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.contract.conftest import Configured
from tests.contract.test_tunnels import IDLE, set_up
from tests.support.outpost import ROOT
from tests.support.postgresql import free_port
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

ENV = {"OUTPOST_TUNNELS_SLEEP_TIMER": "0.2", "OUTPOST_SSH_NODE_TOKEN": "a shared secret"}


@contextmanager
def node(url: str, service: str = "", token: str = "a shared secret") -> Iterator[subprocess.Popen[bytes]]:
    """What the SSH node runs once when it starts."""
    env = {"OUTPOST_SSH_NODE_URL": f"{url}/ssh-node", "OUTPOST_SSH_NODE_TOKEN": token}
    if service:
        env["OUTPOST_SSH_NODE_SERVICE"] = service
    process = subprocess.Popen(
        [sys.executable, "-m", "handlers.ssh_node"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def greet(sshd: socket.socket) -> None:
    """Say once what an SSH server says first."""
    connection, _ = sshd.accept()
    with connection:
        connection.sendall(b"SSH-2.0-test\r\n")


def test_hubs_set_their_tunnels_up_again_each_time_the_node_starts(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    outpost, hub = configured(IDLE, **ENV)
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    for times in (1, 2):
        with node(outpost.url) as process:
            assert process.wait(20) == 0
        eventually(lambda times=times: set_up(hub_stub) == {"http://a:1": times})  # type: ignore[misc]


def test_the_node_is_told_of_only_when_hubs_can_reach_it(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **ENV)
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    port = free_port()
    with node(outpost.url, f"127.0.0.1:{port}") as process:
        assert process.stderr is not None
        assert b"does not answer as an SSH server yet" in process.stderr.readline()
        assert set_up(hub_stub) == {}
        with socket.create_server(("127.0.0.1", port)) as sshd:
            threading.Thread(target=greet, args=(sshd,)).start()
            assert process.wait(20) == 0
    eventually(lambda: set_up(hub_stub) == {"http://a:1": 1})


def test_the_node_waits_for_an_outpost_that_starts_later(configured: Configured) -> None:
    outpost, _ = configured(IDLE, **ENV)
    outpost.stop()
    with node(outpost.url) as process:
        assert process.stderr is not None
        assert b"does not answer yet" in process.stderr.readline()
        outpost.start()
        assert process.wait(20) == 0


@pytest.mark.parametrize(("configured_token", "status"), [("another secret", 401), ("", 404)])
def test_the_node_says_that_outpost_refuses_and_goes_on_until_another_one_does_not(
    configured: Configured, hub_stub: RecordingHub, configured_token: str, status: int
) -> None:
    outpost, hub = configured(IDLE, **ENV | {"OUTPOST_SSH_NODE_TOKEN": configured_token})
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    with node(outpost.url) as process:
        assert process.stderr is not None
        assert f"HTTP {status}" in process.stderr.readline().decode()
        outpost.stop()
        outpost.start(**ENV)
        assert process.wait(30) == 0
        assert b"a shared secret" not in process.stderr.read()
    eventually(lambda: set_up(hub_stub) == {"http://a:1": 1})


def test_nobody_else_can_say_it_not_even_a_hub(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **ENV)
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    said = {"generation": "mine"}
    assert hub.http.post("/ssh-node", json=said).status_code == 401
    refused = httpx.post(f"{outpost.url}/ssh-node", json=said, headers={"Authorization": "Bearer a shared"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    taken = httpx.post(f"{outpost.url}/ssh-node", json=said, headers={"Authorization": "Bearer a shared secret"})
    assert taken.status_code == 204
    eventually(lambda: set_up(hub_stub) == {"http://a:1": 1})


def test_the_token_is_asked_for_below_the_base_path_and_before_the_body_is_read(configured: Configured) -> None:
    outpost, _ = configured(IDLE, OUTPOST_BASE_PATH="/base", **ENV)
    token = {"Authorization": "Bearer a shared secret"}
    for path in ("/base/ssh-node", "/base/ssh-node/"):
        url = f"{outpost.url}{path}"
        assert httpx.post(url, content=b"no JSON").status_code == 401
        assert httpx.post(url, content=b"no JSON", headers=token).status_code == 422
        assert httpx.post(url, json={"generation": path}, headers=token).status_code == 204


def test_an_outpost_that_is_the_node_waits_until_hubs_can_reach_it(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    outpost, hub = configured(IDLE, OUTPOST_SSH_GENERATION="1", OUTPOST_TUNNELS_SLEEP_TIMER="0.2")
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    outpost.stop()
    port = free_port()
    outpost.start(OUTPOST_SSH_GENERATION="2", OUTPOST_SSH_NODE_SERVICE=f"127.0.0.1:{port}")
    hub.start("b", env=hub_stub.env(), user_options={"returns": "http://b:1"})
    assert set_up(hub_stub) == {}
    with socket.create_server(("127.0.0.1", port)) as sshd:
        threading.Thread(target=greet, args=(sshd,)).start()
        eventually(lambda: "http://a:1" in set_up(hub_stub))
