"""Killed at any step, Outpost loses nothing and leaves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import config
from tests.slow.conftest import Make
from tests.support.crash_cases import CASES, Case, Doing, Mode
from tests.support.outpost import HubCalls, OutpostProcess, named_servers, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.scrape import Scrape
from tests.support.waiting import eventually

CERTS = {name: f"the {name}" for name in ("keyfile", "certfile", "cafile")}
LIMIT = 3
PASSED_BEFORE = (
    "start:admitted",
    "start:claimed",
    "start:before-spawn",
    "start:certificates",
    "start:after-spawn",
    "start:running",
)
"""Steps that the starts pass which are not to be killed."""

OFTEN = {"JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER": "0.3", "OUTPOST_TUNNELS_SLEEP_TIMER": "0.3"}
FLAVORS = f"""
c.JupyterHubOutpost.flavors = {{
    "small": {{"max": {LIMIT}}},
    "brief": {{"max": {LIMIT}, "runtime": {{"seconds": 1}}}},
}}
"""


def crash(outpost: OutpostProcess) -> None:
    """Wait until the fail point has killed it."""
    eventually(outpost.has_ended, what="the fail point is reached")


def failures(hub_stub: RecordingHub) -> int:
    """How often the hub was told that a start failed."""
    return sum(1 for event in hub_stub.told("/events") if event.get("failed"))


def try_to(call: object, *args: object, **kwargs: object) -> None:
    """A call whose server dies meanwhile."""
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except httpx.TransportError:
        return


@dataclass
class Scene:
    """A hub, an Outpost that dies, and a server that must not be touched by it."""

    outpost: OutpostProcess
    hub: HubCalls
    hub_stub: RecordingHub
    asynchronous: bool
    generation: str = "1"

    def start(self, name: str, flavor: str = "small", asynchronous: bool = False, **options: object) -> httpx.Response:
        """A start with certificates; its answer."""
        return self.hub.start(
            name, asynchronous=asynchronous, flavor=flavor, user_options=options, certs=CERTS, env=self.hub_stub.env()
        )

    def prepare(self, doing: Doing) -> None:
        """What is there before the crash."""
        assert self.start("bystander").status_code == 200
        if doing == "stop":
            self.start("a")
        elif doing == "failing stop":
            self.start("a", stop="raises once")
        elif doing == "replacement":
            self.start("a", exit=0)
            eventually(lambda: self.hub.poll("a").json()["status"] is not None)

    def act(self, doing: Doing, step: str) -> None:
        """What the crash interrupts."""
        if doing == "tunnel":
            self.outpost.kill()
            self.generation = "2"
            self.outpost.launch(OUTPOST_FAULT=step, OUTPOST_SSH_GENERATION=self.generation, **OFTEN)
        elif doing in ("stop", "failing stop"):
            try_to(self.hub.stop, "a", asynchronous=self.asynchronous)
        elif doing == "expiry":
            try_to(self.start, "a", "brief", asynchronous=False)
        else:
            fail = "after" if doing == "failing start" else None
            try_to(self.start, "a", asynchronous=self.asynchronous, fail=fail)

    def is_settled(self, expected: list[str]) -> bool:
        """Is there a running row for each of these services, and no other?"""
        rows = self.hub.services()
        return sorted(row["name"] for row in rows) == expected and {row["status"] for row in rows} == {"running"}

    def free_slots(self, flavor: str) -> int:
        """How many more starts are admitted."""
        answers = [self.start(f"more-{flavor}-{number}", flavor).status_code for number in range(LIMIT + 1)]
        assert set(answers) <= {200, 419}
        return answers.count(200)


def certificates(folder: Path) -> int:
    """How many services have certificates on disk."""
    return sum(1 for pems in folder.glob("outpost-*/*") if any(pems.iterdir()))


PLAYED = [(case, mode) for case in CASES for mode in case.modes]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "mode"), PLAYED, ids=["-".join([case.doing, *case.steps, mode]).replace(" ", "-") for case, mode in PLAYED]
)
def test_what_a_crash_cut_off_is_carried_on(make: Make, hub_stub: RecordingHub, case: Case, mode: Mode) -> None:
    outpost = make(FLAVORS)
    first, *later = case.steps
    outpost.start(OUTPOST_FAULT=f"{first}@{times_passed(case, first) + 1}", OUTPOST_SSH_GENERATION="1", **OFTEN)
    with outpost.hub() as hub:
        scene = Scene(outpost, hub, hub_stub, asynchronous=mode == "async")
        scene.prepare(case.doing)
        scene.act(case.doing, first)
        crash(outpost)
        for step in later:
            outpost.launch(OUTPOST_FAULT=step)
            crash(outpost)
        outpost.start(OUTPOST_SSH_GENERATION=scene.generation, **OFTEN)
        expected = ["a", "bystander"] if case.runs and case.doing != "tunnel" else ["bystander"]
        eventually(lambda: scene.is_settled(expected), what="recovery has carried everything on")
        eventually(lambda: len(hub_stub.told("/setuptunnel")) == case.asked)
        assert [name for name, _ in named_servers(outpost.folder)] == expected
        assert certificates(outpost.folder) == len(expected)
        assert failures(hub_stub) == case.told
        if case.doing == "expiry":
            outpost.config.write_text(config(FLAVORS.replace("seconds", "hours")))  # or slots become free by themselves
            assert scene.free_slots("brief") == LIMIT
        else:
            assert scene.free_slots("small") == LIMIT - len(expected)


def times_passed(case: Case, step: str) -> int:
    """How often the step comes before the one that is to be the last."""
    if step not in PASSED_BEFORE:
        return 0
    return {"expiry": 0, "replacement": 2}.get(case.doing, 1)


@pytest.mark.slow
def test_a_hub_that_is_away_learns_of_the_failed_start_later(make: Make, hub_stub: RecordingHub) -> None:
    outpost = make().start()
    hub_stub.status = 0
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, user_options={"fail": "after"}, env=hub_stub.env())
        eventually(lambda: [s["status"] for s in hub.services()] == ["stopping"])
        eventually(lambda: servers_in(outpost.folder) == [])
        eventually(lambda: outpost.log.read_text().count("the hub could not be told that the start failed") > 1)
        hub_stub.status = 204
        eventually(lambda: hub.services() == [], 30)
    assert failures(hub_stub) == 1
    assert Scrape(outpost.url).value("outpost_stops_total", outcome="stopped") == 1, "it was stopped only once"


@pytest.mark.slow
def test_another_replica_carries_on_what_a_dead_one_left(make: Make, hub_stub: RecordingHub) -> None:
    first, second = make(), make()
    first.start()
    second.start()
    with first.hub() as dying, second.hub() as living:
        dying.start("running")
        dying.start("starting", asynchronous=True, user_options={"hang": True}, misc={"start_timeout": 60})
        eventually(lambda: len(servers_in(first.folder)) == 2)
        first.kill()
        eventually(lambda: [s["name"] for s in living.services()] == ["running"])
        assert Scrape(second.url).value("outpost_starts_total", outcome="failed") == 1
        assert len(servers_in(first.folder)) == 1
        assert living.poll("running").json()["status"] is None
        assert living.stop("running").status_code == 200
        assert servers_in(first.folder) == []


@pytest.mark.slow
def test_a_stop_that_another_replica_gets_reaches_the_start_that_is_running(make: Make) -> None:
    first, second = make(), make()
    first.start()
    second.start()
    with first.hub() as starting, second.hub() as stopping:
        starting.start("a", asynchronous=True, user_options={"hang": True}, misc={"start_timeout": 60})
        eventually(lambda: servers_in(first.folder))
        assert stopping.stop("a").status_code == 200
        assert servers_in(first.folder) == []
        assert starting.services() == []


@pytest.mark.slow
def test_a_poll_that_was_cut_off_as_it_learned_of_the_end_is_answered_the_next_time(make: Make) -> None:
    outpost = make()
    outpost.start(OUTPOST_FAULT="poll:ended")
    with outpost.hub() as hub:
        hub.start("a", user_options={"exit": 3})
        while not outpost.has_ended():  # each poll looks whether the server has ended by now
            try_to(hub.poll, "a")
        outpost.start()
        assert hub.poll("a").json()["status"] in (0, 3)  # only the process's parent could know which
        assert hub.stop("a").status_code == 200
        assert hub.services() == []
