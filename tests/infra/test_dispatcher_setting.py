"""Which dispatcher carries work on is one setting, and one that does not fit ends the start-up with one sentence."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from core.errors import ConfigError
from infra.dispatch_cloudtasks import CloudTasksQueue
from infra.dispatch_inprocess import InProcessDispatcher
from infra.dispatch_sqs import SqsQueue
from infra.dispatchers import worker_queue
from infra.settings import read_settings
from infra.wiring import build, utc_now
from infra.wiring_functions import build_function

SQS = {"OUTPOST_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/worker"}
TASKS = {
    "OUTPOST_TASKS_QUEUE": "projects/p/locations/l/queues/worker",
    "OUTPOST_TASKS_URL": "https://worker.example",
    "OUTPOST_TASKS_SERVICE_ACCOUNT": "tasks@p.iam.gserviceaccount.com",
}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "api"}
CLOUD_RUN = {"K_SERVICE": "api"}


@pytest.mark.parametrize("named", [{}, {"OUTPOST_DISPATCHER": "in-process"}])
def test_one_process_carries_its_work_on_itself(environ: MutableMapping[str, str], named: dict[str, str]) -> None:
    environ.update(named | SQS | TASKS)
    assert isinstance(build(read_settings()).dispatcher, InProcessDispatcher)


@pytest.mark.parametrize(
    ("env", "name", "kind"),
    [
        (LAMBDA | SQS | TASKS, "sqs", SqsQueue),
        (SQS, "sqs", SqsQueue),
        (CLOUD_RUN | SQS | TASKS, "cloudtasks", CloudTasksQueue),
        ({"FUNCTION_TARGET": "api"} | TASKS, "cloudtasks", CloudTasksQueue),
    ],
)
@pytest.mark.parametrize("is_named", [False, True])
def test_functions_hand_work_on_through_their_clouds_queue(
    environ: MutableMapping[str, str], env: dict[str, str], name: str, kind: type[Any], is_named: bool
) -> None:
    environ.update(env | ({"OUTPOST_DISPATCHER": name} if is_named else {}))
    assert isinstance(worker_queue(read_settings(), environ, utc_now), kind)


@pytest.mark.parametrize("name", ["sqs", "cloudtasks"])
def test_one_process_refuses_a_queue(environ: MutableMapping[str, str], name: str) -> None:
    environ.update(SQS | TASKS | {"OUTPOST_DISPATCHER": name})
    with pytest.raises(ConfigError) as caught:
        build(read_settings())
    assert str(caught.value) == (
        f"OUTPOST_DISPATCHER: {name!r} wakes a worker function, but here Outpost is one process, "
        "which carries its work on itself; set 'in-process' or nothing"
    )


@pytest.mark.parametrize(
    ("where", "env", "name", "fitting"),
    [
        ("Lambda", LAMBDA | SQS, "in-process", "sqs"),
        ("Lambda", LAMBDA | TASKS, "cloudtasks", "sqs"),
        ("Cloud Run", CLOUD_RUN | TASKS, "in-process", "cloudtasks"),
        ("Cloud Run", CLOUD_RUN | SQS, "sqs", "cloudtasks"),
    ],
)
def test_functions_refuse_a_dispatcher_of_another_place(
    environ: MutableMapping[str, str], where: str, env: dict[str, str], name: str, fitting: str
) -> None:
    environ.update(env, OUTPOST_DISPATCHER=name)
    with pytest.raises(ConfigError) as caught:
        build_function()
    assert str(caught.value) == (
        f"OUTPOST_DISPATCHER: {name!r} does not fit functions on {where}; set {fitting!r} or nothing"
    )


def test_what_a_queue_needs_and_has_not_is_named(environ: MutableMapping[str, str]) -> None:
    environ.update(LAMBDA, OUTPOST_DISPATCHER="sqs")
    with pytest.raises(ConfigError, match=r"^OUTPOST_QUEUE_URL: not set, but functions hand work on through"):
        build_function()
    environ.update(CLOUD_RUN, OUTPOST_DISPATCHER="cloudtasks", OUTPOST_TASKS_URL=TASKS["OUTPOST_TASKS_URL"])
    with pytest.raises(ConfigError) as caught:
        build_function()
    assert str(caught.value) == (
        "OUTPOST_TASKS_QUEUE, OUTPOST_TASKS_SERVICE_ACCOUNT: not set, but functions hand work on through Cloud Tasks"
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OUTPOST_DISPATCHER", "kafka", "Input should be '', 'in-process', 'sqs' or 'cloudtasks'"),
        ("OUTPOST_QUEUE_URL", "worker", "must be the URL of an SQS queue"),
        ("OUTPOST_TASKS_QUEUE", "worker", "must be projects/P/locations/L/queues/Q"),
        ("OUTPOST_TASKS_QUEUE", "projects/p/locations/l/queues/q/tasks/t", "must be projects/P/locations/L/queues/Q"),
        ("OUTPOST_TASKS_URL", "worker.example", "must be the worker's URL, with https"),
        ("OUTPOST_TASKS_URL", "http://worker.example", "must be the worker's URL, with https"),
        ("OUTPOST_TASKS_SERVICE_ACCOUNT", "tasks", "must be a service account's e-mail"),
        ("OUTPOST_TASKS_ENDPOINT_URL", "cloudtasks", "String should match pattern"),
    ],
)
def test_a_setting_of_a_wrong_form_is_named(
    environ: MutableMapping[str, str], name: str, value: str, said: str
) -> None:
    environ[name] = value
    with pytest.raises(ConfigError) as caught:
        read_settings()
    assert str(caught.value).startswith(f"{name}: {said}")
