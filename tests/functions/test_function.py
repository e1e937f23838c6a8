"""Instances of functions live as they do on Lambda."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from local.aws.fork_server import ForkServer
from local.aws.function import PayloadTooLarge, Throttled
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


def test_an_instance_that_was_idle_for_long_is_let_go(deploy: Deploy) -> None:
    function = deploy("handlers.about", idle_seconds=0)
    first = function.invoke({}).json()["pid"]
    assert function.invoke({}).json()["pid"] != first
    assert not psutil.pid_exists(first)


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


def test_an_event_of_more_than_6_megabytes_reaches_nobody(deploy: Deploy) -> None:
    function = deploy("handlers.about")
    with pytest.raises(PayloadTooLarge):
        function.invoke("x" * 6_291_556)
    assert function.pids == []
