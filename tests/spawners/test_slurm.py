"""What a queue does that processes and containers do not: it lets wait, and it is away for a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.spawners.conftest import Hub, param
from tests.spawners.families import SlurmFamily
from tests.support.outpost import OutpostProcess
from tests.support.slurm import Cluster
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("family", [param(SlurmFamily)], indirect=True, scope="session")

AWAY = [
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
    "slurm_load_jobs error: Zero Bytes were transmitted or received",
    "sudo: a password is required",
]


@pytest.fixture
def cluster(family: SlurmFamily) -> Iterator[Cluster]:
    """The cluster that the jobs run on; it works again when the test ends."""
    yield family.cluster
    for command in ("squeue", "scancel"):
        family.cluster.fail(command, None)
    family.cluster.release()


@pytest.mark.parametrize("message", AWAY, ids=["unreachable", "garbled", "refused"])
def test_a_queue_that_does_not_answer_ends_no_server(hub: Hub, cluster: Cluster, message: str) -> None:
    server = hub.start("a")
    cluster.fail("squeue", message)
    assert hub.status("a") is None
    cluster.fail("squeue", None)
    assert server.answers()
    assert hub.status("a") is None


def test_a_start_outlasts_a_queue_that_does_not_answer(hub: Hub, cluster: Cluster) -> None:
    cluster.fail("squeue", AWAY[1])
    hub.request_start("a", asynchronous=True)
    eventually(cluster.active, what="the job is there")
    asked = cluster.times("squeue")
    eventually(lambda: cluster.times("squeue") > asked + 2, what="the queue is asked again and again")
    cluster.fail("squeue", None)
    hub.assert_only("a")
    assert not hub.failures()


def test_a_job_that_waits_is_told_once_and_then_runs(hub: Hub, cluster: Cluster) -> None:
    cluster.hold()
    hub.request_start("a", asynchronous=True)
    asked = cluster.times("squeue")
    eventually(lambda: cluster.times("squeue") > asked + 20, what="time goes by")
    assert hub.status("a") is None
    cluster.release()
    hub.assert_only("a")
    told = [event["message"] for event in hub.stub.told("/events")]
    assert told.count("Pending in queue...") == 1


def test_a_stop_in_the_queue_takes_the_job_out_of_it(hub: Hub, cluster: Cluster) -> None:
    cluster.hold()
    hub.request_start("a", asynchronous=True)
    eventually(cluster.active)
    assert hub.calls.stop("a").status_code == 200
    assert not cluster.active()
    cluster.release()
    hub.assert_only()


def test_a_job_cancelled_in_the_queue_by_somebody_else_is_a_failed_start(hub: Hub, cluster: Cluster) -> None:
    cluster.hold()
    hub.request_start("a", asynchronous=True)
    eventually(cluster.active)[0].cancel()
    (told,) = eventually(hub.failures)
    assert "disappeared while pending in the queue" in told
    cluster.release()
    hub.assert_only()


def test_a_stop_that_the_cluster_does_not_hear_is_tried_again(hub: Hub, cluster: Cluster) -> None:
    hub.start("a")
    cluster.fail("scancel", "scancel: error: Kill job error on job id 1: Unable to contact slurm controller")
    answer = hub.calls.stop("a")
    assert answer.status_code == 419
    assert "tried again" in answer.json()["args"][0]
    assert len(cluster.active()) == 1
    cluster.fail("scancel", None)
    hub.assert_only()


def test_a_job_is_found_after_a_crash_as_soon_as_the_queue_answers(
    hub: Hub, outpost: OutpostProcess, cluster: Cluster
) -> None:
    hub.begin("a")
    outpost.kill()
    cluster.fail("squeue", AWAY[0])
    asked = cluster.times("squeue")
    outpost.start()
    eventually(lambda: cluster.times("squeue") > asked, what="the job is looked for")
    assert len(cluster.active()) == 1
    cluster.fail("squeue", None)
    hub.assert_only()
    assert len(hub.failures()) == 1


def test_the_operators_job_script_is_used_as_it_is(hub: Hub, cluster: Cluster) -> None:
    """Only the comment is Outpost's."""
    hub.start("a")
    (job,) = cluster.active()
    assert job.info["name"] == "spawner-jupyterhub"
    assert job.info["comment"].startswith("outpost:")
    assert "srun" in job.info["script"]
