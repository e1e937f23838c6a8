"""What only functions can meet: messages that are lost, doubled or late, and instances that die with their event."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pg8000.native
import pytest

from local.aws.fork_server import ForkServer
from local.aws.http_events import HTTP_API
from tests.contract.conftest import config
from tests.contract.test_services import NAMES
from tests.functions.conftest import DeployFunctions
from tests.support.functions import OutpostFunctions
from tests.support.outpost import servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

Make = Callable[..., OutpostFunctions]

LEASE_SECONDS = 6
SECONDS = 60
PIDS = """
import os, pathlib
with (pathlib.Path(os.environ["TMPDIR"]) / "pids").open("a") as notes:
    notes.write(f"{os.environ['_HANDLER']} {os.getpid()}\\n")
"""


@pytest.fixture
def make(functions: DeployFunctions, fork_server: ForkServer, tmp_path: Path) -> Iterator[Make]:
    """An Outpost of the test's own, whose leases and messages come back soon."""
    made: list[OutpostFunctions] = []

    def new(more: str = "", *, cold: bool = False, **options: Any) -> OutpostFunctions:
        env = {"OUTPOST_LEASE_SECONDS": str(LEASE_SECONDS)}
        options = {"cold": cold, "fork_server": fork_server, "visibility_seconds": LEASE_SECONDS, **options}
        made.append(functions(tmp_path, config(more), env, **options))
        return made[-1]

    yield new
    for outpost in made:
        outpost.close()


def failures(hub_stub: RecordingHub) -> int:
    """How often the hub was told that a start failed."""
    return sum(1 for event in hub_stub.told("/events") if event.get("failed"))


def messages(outpost: OutpostFunctions) -> list[str]:
    """Take all messages out of the queue; their bodies."""
    bodies = []
    while received := outpost.sqs.receive_message(QueueUrl=outpost.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in received:
            bodies.append(message["Body"])
            outpost.sqs.delete_message(QueueUrl=outpost.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def is_empty(outpost: OutpostFunctions) -> bool:
    """Is no message left, seen or not?"""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = outpost.sqs.get_queue_attributes(QueueUrl=outpost.queue_url, AttributeNames=names)
    return all(told["Attributes"][name] == "0" for name in names)


@contextmanager
def locked_rows(env: Mapping[str, str]) -> Iterator[pg8000.native.Connection]:
    """A connection to a deployment's database, for locks that last as long as its transaction."""
    connection = pg8000.native.Connection(
        env["SQL_USER"], env["SQL_HOST"], env["SQL_DATABASE"], port=int(env["SQL_PORT"])
    )
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["warm", "cold", "cold and not forked"])
def test_a_cold_function_has_a_new_process_for_every_request_and_a_warm_one_has_not(make: Make, kind: str) -> None:
    outpost = make(PIDS, cold=kind != "warm", **({"fork_server": None} if kind == "cold and not forked" else {}))
    outpost.start()
    with outpost.hub() as hub:
        assert hub.start("a").status_code == 200
        assert hub.poll("a").json()["status"] is None
        assert hub.stop("a").status_code == 200
        assert hub.services() == []
    pids = [line.split()[1] for line in (outpost.folder / "pids").read_text().splitlines() if ".api " in line]
    assert len(pids) == len(set(pids))
    assert (len(pids) >= 5) is (kind != "warm")  # the four, and the one that waited until Outpost answered


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_what_a_slow_hub_is_told_of_a_start_goes_out_before_the_answer(
    make: Make, hub_stub: RecordingHub, cold: bool
) -> None:
    outpost = make(cold=cold)
    outpost.start()
    hub_stub.delay_seconds = 0.3
    with outpost.hub() as hub:
        assert hub.start("a", env=hub_stub.env()).status_code == 200
    assert [event["progress"] for event in hub_stub.told("/events")] == [10, 40, 90]


@pytest.mark.parametrize(
    "options", [{"slow": 30}, {"hang": True}], ids=["before the server runs", "when the server runs"]
)
def test_a_worker_that_dies_in_the_middle_of_a_start_leaves_nothing_and_the_hub_learns_it(
    make: Make, hub_stub: RecordingHub, options: dict[str, Any]
) -> None:
    outpost = make()
    outpost.start()
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, env=hub_stub.env(), user_options=options, misc={"start_timeout": 60})
        eventually(lambda: [s["status"] for s in hub.services()] == ["starting"])
        eventually(lambda: "slow" in options or servers_in(outpost.folder))
        for pid in outpost.functions["worker"].pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: hub.services() == [], SECONDS)
        assert servers_in(outpost.folder) == []
        assert failures(hub_stub) == 1
        assert hub.start("a", asynchronous=True).status_code == 202
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], SECONDS)
        assert len(servers_in(outpost.folder)) == 1
        eventually(lambda: is_empty(outpost))


def worker_ends(outpost: OutpostFunctions) -> list[tuple[str, str]]:
    """How the worker's events ended, one after the other."""
    return [(each.status, each.error_type) for each in outpost.records if each.function == "worker"]


WAITS_FOR_A_ROW = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('tuple', 'transactionid')"
KILLED = ("error", "Runtime.ExitError")
HANDLED = ("success", "")


def test_a_worker_that_dies_before_it_has_claimed_its_row_gets_the_message_again_and_starts_one_server(
    make: Make,
) -> None:
    """GIVEN a worker that has a message and waits for the row WHEN it is killed THEN the next one starts the server."""
    outpost = make()
    outpost.start()
    outpost.close_schedules()  # or recovery might be who starts it
    outpost.close_queue()
    with outpost.hub() as hub, locked_rows(outpost.env) as rows:
        hub.start("a", asynchronous=True)
        rows.run("BEGIN")
        rows.run("SELECT * FROM service FOR UPDATE")
        outpost.open_queue()
        eventually(lambda: rows.run(WAITS_FOR_A_ROW))
        for pid in outpost.functions["worker"].pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: worker_ends(outpost) == [KILLED])
        rows.run("COMMIT")
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], SECONDS)
        eventually(lambda: is_empty(outpost))
        assert worker_ends(outpost) == [KILLED, HANDLED]
        assert len(servers_in(outpost.folder)) == 1


def test_a_worker_that_dies_when_its_server_runs_gets_the_message_again_and_starts_no_second_server(make: Make) -> None:
    """GIVEN a worker that is killed before its event's end WHEN the message comes again THEN the server is the same."""
    outpost = make()
    outpost.start(OUTPOST_FAULT="start:running")
    outpost.close_schedules()
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True)
        eventually(lambda: worker_ends(outpost) == [KILLED], SECONDS)
        outpost.close_queue()
        outpost.redeploy("worker")
        (server,) = servers_in(outpost.folder)
        outpost.open_queue()
        eventually(lambda: worker_ends(outpost)[-1] == HANDLED, SECONDS)
        eventually(lambda: is_empty(outpost))
        assert servers_in(outpost.folder) == [server]
        assert [s["status"] for s in hub.services()] == ["running"]


def test_an_instance_that_dies_before_it_could_send_the_message_delays_the_start(
    make: Make, hub_stub: RecordingHub
) -> None:
    outpost = make()
    outpost.start(OUTPOST_FAULT="start:admitted")
    with outpost.hub() as hub:
        assert hub.start("a", asynchronous=True, env=hub_stub.env()).status_code == 502
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], SECONDS)
    assert len(servers_in(outpost.folder)) == 1
    assert failures(hub_stub) == 0


def test_a_message_that_is_lost_delays_the_start(make: Make) -> None:
    outpost = make()
    outpost.start()
    outpost.close_queue()
    with outpost.hub() as hub:
        assert hub.start("a", asynchronous=True).status_code == 202
        outpost.sqs.purge_queue(QueueUrl=outpost.queue_url)
        outpost.open_queue()
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], SECONDS)
    assert len(servers_in(outpost.folder)) == 1


def test_a_message_that_comes_several_times_at_once_starts_one_server(make: Make) -> None:
    outpost = make()
    outpost.start()
    outpost.close_queue()
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, user_options={"slow": 1})
        (body,) = set(messages(outpost))
        for _ in range(5):
            outpost.sqs.send_message(QueueUrl=outpost.queue_url, MessageBody=body)
        outpost.open_queue()
        eventually(lambda: [s["status"] for s in hub.services()] == ["running"], SECONDS)
        eventually(lambda: is_empty(outpost))
        assert len(servers_in(outpost.folder)) == 1
        assert hub.stop("a").status_code == 200
    assert servers_in(outpost.folder) == []


def test_a_stop_that_comes_before_its_start_was_handled_leaves_nothing(make: Make, hub_stub: RecordingHub) -> None:
    outpost = make()
    outpost.start()
    outpost.close_queue()
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, env=hub_stub.env())
        assert hub.stop("a", asynchronous=True).status_code == 202
        bodies = messages(outpost)
        for body in reversed(bodies):
            outpost.sqs.send_message(QueueUrl=outpost.queue_url, MessageBody=body)
        outpost.open_queue()
        eventually(lambda: hub.services() == [])
        late = next(body for body in bodies if "service" in json.loads(body))
        outpost.sqs.send_message(QueueUrl=outpost.queue_url, MessageBody=late)
        eventually(lambda: is_empty(outpost))
        assert hub.services() == []
    assert servers_in(outpost.folder) == []
    assert failures(hub_stub) == 0


CUT = {name for name in NAMES if "?" in name}
"""An HTTP API cuts a path at a decoded ``?``, and hands no more over."""


def test_behind_an_http_api_every_name_works_that_it_hands_over(make: Make) -> None:
    outpost = make('c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"', kind=HTTP_API)
    outpost.start()
    with outpost.hub() as hub:
        for name in NAMES:
            assert hub.start(name, user_options={"start_id": "1"}).status_code == 200
            if name not in CUT:
                assert hub.poll(name, "1").json() == {"status": None, "logs": []}, name
                assert hub.stop(name, "1").status_code == 200, name
        assert {service["name"] for service in hub.services()} == CUT
