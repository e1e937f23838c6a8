"""Instances of functions live as they do on Lambda."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from local.aws.fork_server import ForkServer
from local.aws.function import PayloadTooLarge, Throttled
from local.aws.records import Record, Source
from tests.functions.conftest import Deploy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(params=["new", "forked"])
def origin(request: pytest.FixtureRequest) -> ForkServer | None:
    """Where processes come from."""
    fork_server: ForkServer | None = request.getfixturevalue("fork_server") if request.param == "forked" else None
    return fork_server


def test_a_function_is_told_what_lambda_tells_it(
    deploy: Deploy, origin: ForkServer | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_OF_THE_EMULATOR", "is not the function's")
    definition = {"timeout": 7, "memory_mb": 300, "fork_server": origin}
    answer = deploy("handlers.about", definition).invoke({"a": "ü"}).json()
    assert answer["event"] == {"a": "ü"}
    assert answer["arn"].endswith(":function:handlers.about")
    assert 1000 < answer["remaining_ms"] <= 7000
    assert answer["memory"] == answer["environment"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "300"
    assert answer["environment"]["AWS_LAMBDA_FUNCTION_NAME"] == "handlers.about"
    assert "AWS_OF_THE_EMULATOR" not in answer["environment"]
    assert answer["imported"] == ["tests"], "of this project, only what the function itself imports"


def test_one_warm_instance_handles_event_after_event(deploy: Deploy) -> None:
    function = deploy("handlers.about")
    answers = [function.invoke({}).json() for _ in range(5)]
    assert len({answer["pid"] for answer in answers}) == 1
    assert len({answer["request_id"] for answer in answers}) == 5


def test_nothing_runs_between_two_events(deploy: Deploy) -> None:
    function = deploy("handlers.ticking")
    function.invoke({})
    (pid,) = function.pids
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    frozen = time.time()
    time.sleep(0.5)
    thawed = time.time()
    ticks = function.invoke({"for": 0.1}).json()
    assert not [tick for tick in ticks if frozen < tick < thawed]
    assert [tick for tick in ticks if tick > thawed]


def test_what_an_event_left_behind_goes_on_where_nothing_is_frozen(deploy: Deploy) -> None:
    """GIVEN no freezing WHEN a thread is left behind THEN it has run before the next event comes."""
    function = deploy("handlers.ticking", {"freeze": False})
    function.invoke({})
    answered = time.time()

    def ran_meanwhile() -> bool:
        asked = time.time()
        return any(answered < tick < asked for tick in function.invoke({}).json())

    eventually(ran_meanwhile)
    (pid,) = function.pids
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize("cold", [False, True])
def test_events_at_once_get_instances_of_their_own_up_to_the_bound(deploy: Deploy, tmp_path: Path, cold: bool) -> None:
    function = deploy("handlers.waiting", {"concurrency": 3}, cold=cold)
    notes, until = tmp_path / "notes", tmp_path / "until"
    notes.mkdir()
    event = {"notes": str(notes), "until": str(until)}
    with ThreadPoolExecutor(3) as pool:
        under_way = [pool.submit(function.invoke, event) for _ in range(3)]
        eventually(lambda: len(list(notes.iterdir())) == 3, 60)
        with pytest.raises(Throttled):
            function.invoke(event)
        until.touch()
        assert {str(each.result().json()) for each in under_way} == {path.name for path in notes.iterdir()}
    assert function.invoke(event).error == ""


@pytest.mark.parametrize("prepared", [0, 2])
def test_a_cold_function_has_a_new_process_for_every_event(
    deploy: Deploy, origin: ForkServer | None, prepared: int
) -> None:
    function = deploy("handlers.about", {"fork_server": origin}, cold=True, prepared=prepared)
    pids = [function.invoke({}).json()["pid"] for _ in range(5)]
    assert len(set(pids)) == 5
    assert not any(psutil.pid_exists(pid) for pid in pids)
    eventually(lambda: len(function.pids) == prepared)


def test_an_instance_that_was_idle_for_long_is_let_go_without_another_event(deploy: Deploy) -> None:
    function = deploy("handlers.about", idle_seconds=0.2)
    first = function.invoke({}).json()["pid"]
    eventually(lambda: function.pids == [])
    assert not psutil.pid_exists(first)
    assert function.invoke({}).json()["pid"] != first


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("raise", "ValueError", "the handler has failed"),
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("kill", "Runtime.ExitError", "signal: killed"),
        ("large", "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload size"),
    ],
)
def test_an_event_that_fails_is_told_as_lambda_tells_it_and_the_next_one_is_fine(
    deploy: Deploy, origin: ForkServer | None, what: str, kind: str, said: str
) -> None:
    function = deploy("handlers.misbehaving", {"fork_server": origin})
    answer = function.invoke({"do": what})
    assert (answer.error, answer.json()["errorType"]) == ("Unhandled", kind)
    assert said in answer.json()["errorMessage"]
    assert function.invoke({"do": "nothing"}).json() > 0


@pytest.mark.parametrize("what", ["eat", "eat and wait"])
def test_an_instance_that_takes_more_memory_than_it_may_is_killed(
    deploy: Deploy, origin: ForkServer | None, what: str, records: list[Record]
) -> None:
    """GIVEN a limit WHEN an event takes more, if only for a moment THEN it fails as on Lambda, and the next is fine."""
    function = deploy("handlers.misbehaving", {"memory_mb": 400, "fork_server": origin}, observer=records.append)
    answer = function.invoke({"do": what, "mb": 500})
    assert answer.json()["errorType"] == "Runtime.OutOfMemory"
    assert answer.json()["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert function.pids == []
    assert function.invoke({"do": "eat", "mb": 10}).error == ""
    assert [(record.status, record.error_type) for record in records] == [
        ("error", "Runtime.OutOfMemory"),
        ("success", ""),
    ]
    assert records[0].max_memory_mb > 400 > records[1].max_memory_mb > 10


def test_servers_that_a_function_started_do_not_count_as_its_memory_and_outlive_it(deploy: Deploy) -> None:
    function = deploy("handlers.misbehaving", {"memory_mb": 300})
    child = psutil.Process(function.invoke({"do": "have a child eat", "mb": 400}).json())
    try:
        assert function.invoke({"do": "nothing"}).error == ""
        assert function.invoke({"do": "eat", "mb": 400}).json()["errorType"] == "Runtime.OutOfMemory"
        assert child.is_running()
        assert child.status() != psutil.STATUS_ZOMBIE
    finally:
        child.kill()


def test_an_instance_that_is_killed_in_the_middle_of_an_event_is_told_as_lambda_tells_it(
    deploy: Deploy, tmp_path: Path
) -> None:
    function = deploy("handlers.blocked", {"environment": {"NOTES": str(tmp_path)}, "timeout": 60})
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(function.invoke, {})
        eventually(lambda: list(tmp_path.glob("began-*")), 60)
        (pid,) = function.pids
        os.kill(pid, signal.SIGKILL)
        answer = under_way.result()
    assert answer.error == "Unhandled"
    assert answer.json()["errorType"] == "Runtime.ExitError"
    assert answer.json()["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")


def test_an_event_that_takes_too_long_ends_with_its_instance(deploy: Deploy, tmp_path: Path) -> None:
    function = deploy("handlers.waiting", {"timeout": 0.5})
    answer = function.invoke({"notes": str(tmp_path), "until": str(tmp_path / "never")})
    assert answer.timed_out
    assert answer.json()["errorMessage"].endswith("Task timed out after 0.50 seconds")
    assert function.pids == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("import", "No module named 'no_such_module'"),
        ("exit", "exit status 5"),
        ("hang", "Task timed out after 1.00 seconds"),
    ],
)
def test_an_initialisation_that_fails_is_told_to_whoever_invokes(
    deploy: Deploy, origin: ForkServer | None, how: str, said: str
) -> None:
    function = deploy(
        "broken.handler", {"environment": {"HOW": how}, "init_seconds": 4, "timeout": 1, "fork_server": origin}
    )
    answer = function.invoke({})
    assert answer.error == "Unhandled"
    assert said in answer.json()["errorMessage"]
    eventually(lambda: function.pids == [])


def test_an_initialisation_that_fails_is_tried_again_before_the_event_fails(
    deploy: Deploy, tmp_path: Path, records: list[Record]
) -> None:
    environment = {"HOW": "once", "NOTES": str(tmp_path / "tried")}
    function = deploy("broken.handler", {"environment": environment}, observer=records.append)
    answer = function.invoke({})
    assert [answer.json()] == function.pids
    assert (records[0].status, records[0].cold, records[0].init_ms) == ("success", True, None)


def test_a_function_can_be_initialised_before_its_first_event(deploy: Deploy) -> None:
    function = deploy("handlers.about")
    assert function.initialise() is None
    assert [function.invoke({}).json()["pid"]] == function.pids
    broken = deploy("broken.handler", {"environment": {"HOW": "import"}}).initialise()
    assert broken is not None
    assert "No module named 'no_such_module'" in broken.json()["errorMessage"]


def test_an_initialisation_that_takes_too_long_is_tried_again_before_the_first_event(
    deploy: Deploy, tmp_path: Path
) -> None:
    environment = {"HOW": "slow once", "NOTES": str(tmp_path / "tried")}
    function = deploy("broken.handler", {"environment": environment, "init_seconds": 4})
    assert function.initialise() is None
    assert [function.invoke({}).json()] == function.pids


def test_whoever_watches_is_told_of_every_invocation(deploy: Deploy, records: list[Record]) -> None:
    function = deploy("handlers.about", {"memory_mb": 600}, observer=records.append)
    ids = [function.invoke({}).json()["request_id"] for _ in range(2)]
    function.invoke({}, Source("sqs", "3 messages"))
    assert [record.request_id for record in records[:2]] == ids
    assert [record.cold for record in records] == [True, False, False]
    assert [record.source.kind for record in records] == ["invoke", "invoke", "sqs"]
    first, second, _ = records
    assert {record.pid for record in records} == set(function.pids)
    assert first.init_ms is not None
    assert first.billed_ms >= first.duration_ms + first.init_ms
    assert (second.init_ms, second.status, second.memory_mb) == (None, "success", 600)
    assert 5 < second.max_memory_mb < 600


def test_whoever_watches_is_told_of_events_that_reach_nobody(deploy: Deploy, records: list[Record]) -> None:
    function = deploy("handlers.about", {"concurrency": 0}, observer=records.append)
    with pytest.raises(Throttled):
        function.invoke({})
    assert [(record.status, record.pid) for record in records] == [("throttled", None)]


def test_an_event_of_more_than_6_megabytes_reaches_nobody(deploy: Deploy) -> None:
    function = deploy("handlers.about")
    with pytest.raises(PayloadTooLarge):
        function.invoke("x" * 6_291_556)
    assert function.pids == []
