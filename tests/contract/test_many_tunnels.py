"""The tunnels of many services, on PostgreSQL, whatever happens meanwhile: all of them, and each once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.conftest import config
from tests.contract.test_tunnels import IDLE, set_up
from tests.support.outpost import OutpostProcess
from tests.support.postgresql import Cluster
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

SERVICES = 200
AT_ONCE = 20


@pytest.fixture
def replicas(tmp_path: Path, cluster: Cluster) -> Iterator[list[OutpostProcess]]:
    """Two Outposts on one database, the first of which runs with 200 services."""
    env = cluster.create_database(f"t{uuid.uuid4().hex}")
    env |= {"OUTPOST_TUNNELS_SLEEP_TIMER": "0.2", "OUTPOST_SSH_GENERATION": "1", "OUTPOST_LEASE_SECONDS": "5"}
    first = OutpostProcess(tmp_path, config(IDLE), env)
    env["OUTPOST_CRYPT_KEY"] = first.env["OUTPOST_CRYPT_KEY"]
    made = [first, OutpostProcess(tmp_path, config(IDLE), env)]
    made[0].start()
    yield made
    for outpost in made:
        outpost.close()


@pytest.fixture
def places(replicas: list[OutpostProcess], hub_stub: RecordingHub) -> list[str]:
    """Where the services of the first replica run. The hub takes its time."""
    found = [f"http://10.0.0.1:{number}" for number in range(SERVICES)]
    with replicas[0].hub() as hub, ThreadPoolExecutor(8) as threads:
        answers = threads.map(
            lambda place: hub.start(place[-3:], env=hub_stub.env(), user_options={"returns": place}).status_code, found
        )
        assert set(answers) == {200}
    hub_stub.delay_seconds = 0.1
    return found


def test_two_replicas_at_once_ask_once_for_each(
    replicas: list[OutpostProcess], places: list[str], hub_stub: RecordingHub
) -> None:
    replicas[0].stop()
    for outpost in replicas:
        outpost.launch(OUTPOST_SSH_GENERATION="2")
    for outpost in replicas:
        outpost.wait()
    eventually(lambda: set_up(hub_stub).keys() == set(places), 60)
    for outpost in replicas:
        outpost.stop()
    assert set_up(hub_stub) == dict.fromkeys(places, 1)


def test_a_restart_in_the_middle_asks_once_for_each(
    replicas: list[OutpostProcess], places: list[str], hub_stub: RecordingHub
) -> None:
    replicas[0].stop()
    for _ in range(3):
        before = set_up(hub_stub).total()
        replicas[0].start(OUTPOST_SSH_GENERATION="2")
        eventually(lambda before=before: set_up(hub_stub).total() >= min(before + 30, SERVICES))  # type: ignore[misc]
        replicas[0].stop()
    replicas[0].start(OUTPOST_SSH_GENERATION="2")
    eventually(lambda: set_up(hub_stub).keys() == set(places), 60)
    replicas[0].stop()
    assert set_up(hub_stub) == dict.fromkeys(places, 1)


def test_a_killed_replica_has_only_what_was_under_way_asked_for_again(
    replicas: list[OutpostProcess], places: list[str], hub_stub: RecordingHub
) -> None:
    replicas[0].stop()
    replicas[0].start(OUTPOST_SSH_GENERATION="2")
    eventually(lambda: set_up(hub_stub).total() >= 30)
    replicas[0].kill()
    replicas[1].start(OUTPOST_SSH_GENERATION="2")
    eventually(lambda: set_up(hub_stub).keys() == set(places), 60)
    replicas[1].stop()
    times = Counter(set_up(hub_stub).values())
    assert times.keys() <= {1, 2}
    assert times[2] <= AT_ONCE
