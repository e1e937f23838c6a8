"""Hundreds of servers while replicas are killed and the database is restarted: no orphan and no ghost."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import config
from tests.support.outpost import HubCalls, OutpostProcess, named_servers, servers_in
from tests.support.postgresql import Cluster
from tests.support.waiting import eventually

SERVICES = int(os.environ.get("OUTPOST_SOAK_SERVICES", "500"))
CLIENTS = 10
REPLICAS = 3
KILLS = 8
KEPT = SERVICES // 5
LIMIT = KEPT + CLIENTS + 5
EXPECTED_ERRORS = {"ServiceExists", "StartCancelled", "StopFailed"}
"""What hubs may be told after answers were lost: no error of a driver is among it."""

CONFIG = f"""
c.JupyterHubOutpost.flavors = {{"small": {{"max": {LIMIT}}}}}
c.JupyterHubOutpost.log_level = "WARN"
c.Spawner.start_timeout = 60
"""


@pytest.fixture
def replicas(cluster: Cluster, tmp_path: Path) -> Iterator[list[OutpostProcess]]:
    """Outposts that share a database."""
    env = {"OUTPOST_LEASE_SECONDS": "5", **cluster.create_database("soak")}
    made: list[OutpostProcess] = []
    for _ in range(REPLICAS):
        made.append(OutpostProcess(tmp_path, config(CONFIG), env))
        env["OUTPOST_CRYPT_KEY"] = made[0].env["OUTPOST_CRYPT_KEY"]
        made[-1].start()
    yield made
    for outpost in made:
        outpost.close()


class Crowd:
    """Clients that behave as a hub does, and count what they are answered."""

    def __init__(self, replicas: list[OutpostProcess]) -> None:
        self._replicas = replicas
        self._hubs: dict[tuple[int, int], HubCalls] = {}
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.done = 0
        self.up: set[str] = set()
        """Servers that are to stay, and of which a hub was told that they run."""

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for hub in self._hubs.values():
            hub.http.close()

    def _hub(self, replica: OutpostProcess) -> HubCalls:
        """This thread's connection to that replica."""
        key = threading.get_ident(), replica.port
        if key not in self._hubs:
            self._hubs[key] = replica.hub()
        return self._hubs[key]

    def count(self, answer: str) -> None:
        """One more of that kind."""
        with self._lock:
            self.answers[answer] += 1

    def call(self, what: str, choose: random.Random, request: Callable[[HubCalls], httpx.Response]) -> httpx.Response:
        """Ask any replica, and another one when it does not answer or has no database."""

        def ask() -> httpx.Response | None:
            try:
                answer = request(self._hub(choose.choice(self._replicas)))
            except httpx.TransportError as error:
                self.count(f"{what}: no answer ({type(error).__name__})")
                return None
            kind = str(answer.status_code)
            if answer.status_code == 419:
                kind += f" {answer.json()['class']}"
            elif what == "poll" and answer.status_code == 200:
                kind += f" status {answer.json()['status']}"
            self.count(f"{what}: {kind}")
            assert answer.status_code in (200, 202, 404, 419, 503), answer.text
            return None if answer.status_code == 503 else answer

        return eventually(lambda: [a for a in [ask()] if a is not None], 120, what)[0]

    def serve(self, number: int) -> None:
        """One server's life."""
        name, choose = f"s{number}", random.Random(number)
        asynchronous = choose.random() < 0.5
        kind = "start (async)" if asynchronous else "start"
        started = self.call(kind, choose, lambda hub: hub.start(name, flavor="small", asynchronous=asynchronous))
        exists = started.status_code == 419 and started.json()["class"] == "ServiceExists"  # the answer was lost
        if started.is_success or exists:
            for _ in range(3):
                self.call("poll", choose, lambda hub: hub.poll(name))
        if number % 5 == 0 and (started.is_success or exists):
            if started.status_code == 200:
                self.up.add(name)
        else:
            self.stop(name, choose)
        with self._lock:
            self.done += 1

    def stop(self, name: str, choose: random.Random) -> None:
        """Ask until it is accepted; what cannot be stopped now, Outpost goes on with."""
        asynchronous = choose.random() < 0.5
        kind = "stop (async)" if asynchronous else "stop"
        self.call(kind, choose, lambda hub: hub.stop(name, asynchronous=asynchronous))


def havoc(crowd: Crowd, replicas: list[OutpostProcess], cluster: Cluster) -> None:
    """Kill replicas one after the other, and restart the database twice, as the crowd goes on."""
    choose = random.Random(0)
    for number in range(1, KILLS + 1):
        due = number * SERVICES // (KILLS + 1)
        eventually(lambda due=due: crowd.done >= due, 300, "the crowd goes on")  # type: ignore[misc]
        victim = choose.choice(replicas)
        victim.kill()
        victim.start()
        if number in (KILLS // 3, 2 * KILLS // 3):
            cluster.stop("immediate" if number == KILLS // 3 else "fast")
            cluster.start()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.postgresql
def test_a_crowd_outlives_kills_and_database_restarts(
    replicas: list[OutpostProcess], cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = replicas[0].folder
    with Crowd(replicas) as crowd, ThreadPoolExecutor(CLIENTS + 1) as pool:
        trouble = pool.submit(havoc, crowd, replicas, cluster)
        list(pool.map(crowd.serve, range(SERVICES)))
        trouble.result()
    with replicas[0].hub() as hub:
        eventually(lambda: {row["status"] for row in hub.services()} == {"running"}, 120, "recovery is done")
        left = sorted(row["name"] for row in hub.services())
        processes = [name for name, _ in named_servers(folder)]
        with capsys.disabled():
            sys.stdout.write(report(crowd, left, processes))
        assert processes == left
        assert crowd.up <= set(left)
        assert {kind.split()[-1] for kind in crowd.answers if " 419 " in kind} <= EXPECTED_ERRORS
        assert hub.http.get("/flavors").json()["small"]["current"] == len(left)
        more = [hub.start(f"more{n}", flavor="small").status_code for n in range(LIMIT - len(left) + 1)]
        assert more == [200] * (LIMIT - len(left)) + [419]
        with ThreadPoolExecutor(CLIENTS) as pool:
            stops = list(pool.map(lambda row: hub.stop(row["name"]).status_code, hub.services()))
        assert set(stops) == {200}
        assert hub.services() == []
    assert servers_in(folder) == []


def report(crowd: Crowd, left: list[str], processes: list[str]) -> str:
    """What the crowd was answered, one kind a line."""
    lines = [f"{SERVICES} servers, {REPLICAS} replicas, {KILLS} kills, 2 restarts of PostgreSQL"]
    lines += [f"{number:6} {answer}" for answer, number in sorted(crowd.answers.items())]
    lines += [f"{len(left):6} rows left, {len(processes)} processes left, {len(crowd.up)} of them were told to run"]
    return "\n" + "\n".join(lines) + "\n"
