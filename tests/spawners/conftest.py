"""One Outpost for each kind of Spawner; a test may kill it, and the next one finds it up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.spawners.families import ACCESS, USER, DockerFamily, Family, LocalFamily, SlurmFamily
from tests.support import docker_engine
from tests.support.outpost import HubCalls, OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

FAMILIES: list[type[Family]] = [LocalFamily, SlurmFamily, DockerFamily]
MARKS: dict[type[Family], list[pytest.MarkDecorator]] = {DockerFamily: [pytest.mark.docker]}

GONE_SECONDS = 30


def param(family: type[Family]) -> Any:
    """A family as a parameter of a fixture."""
    name = family.__name__.removesuffix("Family").lower()
    return pytest.param(family, id=name, marks=MARKS.get(family, [pytest.mark.slow]))


@pytest.fixture(scope="session", params=[param(family) for family in FAMILIES])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """A kind of Spawner, with a world of its own."""
    if request.param is DockerFamily:
        docker_engine.require()
    made: Family = request.param(tmp_path_factory.mktemp("family"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def deployed(family: Family) -> Iterator[OutpostProcess]:
    """An Outpost with that Spawner, running or not."""
    outpost = OutpostProcess(family.folder, family.config(), family.env())
    yield outpost
    outpost.close()


@pytest.fixture
def outpost(deployed: OutpostProcess) -> OutpostProcess:
    """A running Outpost with that Spawner."""
    return deployed.start() if deployed.has_ended() else deployed


class Hub:
    """A hub that uses it: what it asks for, and what it sees of its servers."""

    def __init__(self, outpost: OutpostProcess, family: Family, stub: RecordingHub, name: str = "hub1") -> None:
        self.outpost = outpost
        self.family = family
        self.stub = stub
        self.calls: HubCalls = outpost.hub(name)

    def request_start(self, name: str, **body: Any) -> httpx.Response:
        """Ask for a start; the answer."""
        env = self.stub.env(
            JUPYTERHUB_USER=USER,
            JUPYTERHUB_SERVER_NAME=name,
            JUPYTERHUB_SERVICE_PREFIX=f"/user/{USER}/{name}/",
            JUPYTERHUB_OAUTH_ACCESS_SCOPES=json.dumps(ACCESS),
        )
        return self.calls.start(name, env=env, **body)

    def start(self, name: str, **body: Any) -> Server:
        """A server that answers."""
        response = self.request_start(name, **body)
        assert response.status_code == 200, f"{response.text}\n{self.outpost.tail()}"
        server = Server(name, response.json()["service"])
        eventually(server.answers, what=f"{name} answers at {server.url}")
        return server

    def begin(self, name: str) -> None:
        """A start that does not end by itself, in the background; its resource is there."""
        self.request_start(name, asynchronous=True, user_options={"linger": True})
        eventually(lambda: name in self.family.resources(), what=f"there is something of {name}\n{self.outpost.tail()}")

    def status(self, name: str) -> int | None:
        """What a poll says."""
        status: int | None = self.calls.poll(name).json()["status"]
        return status

    def failures(self) -> list[str]:
        """What the hub was told of failed starts."""
        return [event["html_message"] for event in self.stub.told("/events") if event.get("failed")]

    def assert_only(self, *names: str) -> None:
        """These services there are, and of no other there is anything, at the latest in a moment."""
        expected = sorted(names)

        def only() -> bool:
            rows = sorted(row["name"] for row in self.calls.services() if row["status"] == "running")
            return rows == expected and len(self.calls.services()) == len(rows) and self.family.resources() == expected

        eventually(only, GONE_SECONDS, f"only {expected}\n{self.calls.services()}\n{self.family.resources()}")


class Server:
    """A tiny server, as its user reaches it."""

    def __init__(self, name: str, service: str) -> None:
        self.name = name
        self.url = service if "://" in service else f"http://{service}"

    def tell(self) -> dict[str, str] | None:
        """What the server says of itself; None while it does not answer."""
        try:
            told: dict[str, str] = httpx.get(self.url, timeout=5).json()
        except (httpx.TransportError, ValueError):
            return None
        return told

    def answers(self) -> bool:
        """Does it, and is it the right one?"""
        told = self.tell()
        return told is not None and told["JUPYTERHUB_SERVER_NAME"] == self.name

    def end(self, code: int) -> None:
        """It ends by itself."""
        httpx.post(self.url, content=str(code), timeout=5)


@pytest.fixture
def hub(outpost: OutpostProcess, family: Family, hub_stub: RecordingHub) -> Iterator[Hub]:
    """A hub that leaves nothing when the test ends."""
    with_outpost = Hub(outpost, family, hub_stub)
    with with_outpost.calls as calls:
        yield with_outpost
        if outpost.has_ended():
            outpost.start()
        for service in calls.services():
            calls.stop(service["name"], service["start_id"])
        with_outpost.assert_only()
