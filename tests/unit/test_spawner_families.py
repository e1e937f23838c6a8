"""Which Spawner is driven how, and what counts as evidence that a server has ended."""

from __future__ import annotations

from typing import Any

import pytest
from batchspawner import BatchSpawnerBase, MultiSlurmSpawner, SlurmSpawner, TorqueSpawner
from batchspawner.batchspawner import JobStatus
from dockerspawner import DockerSpawner, SystemUserSpawner
from jupyterhub.spawner import SimpleLocalProcessSpawner

from core import driving
from core.spawners.adapter import StatelessSpawner, stateless
from core.spawners.batch import StatelessBatchSpawner, StatelessSlurmSpawner
from core.spawners.docker import StatelessDockerSpawner
from core.spawners.process import StatelessProcessSpawner
from tests.support.zoo import IdleSpawner


class OwnSpawner(MultiSlurmSpawner):  # type: ignore[misc]  # has no types
    """An operator's subclass."""


@pytest.mark.parametrize(
    ("spawner_class", "mixin"),
    [
        (IdleSpawner, StatelessSpawner),
        (SimpleLocalProcessSpawner, StatelessProcessSpawner),
        (DockerSpawner, StatelessDockerSpawner),
        (SystemUserSpawner, StatelessDockerSpawner),
        (BatchSpawnerBase, StatelessBatchSpawner),
        (TorqueSpawner, StatelessBatchSpawner),
        (SlurmSpawner, StatelessSlurmSpawner),
        (OwnSpawner, StatelessSlurmSpawner),
    ],
)
def test_a_class_is_driven_as_the_most_special_family_it_is_of(spawner_class: type, mixin: type) -> None:
    assert stateless(spawner_class).__mro__[1] is mixin


class QueueSpawner(TorqueSpawner):  # type: ignore[misc]  # has no types
    """Its queue says what ``says`` says, on stderr and with an exit code that is not 0."""

    says = ""

    def get_req_subvars(self) -> dict[str, Any]:
        """No user is needed."""
        return {"username": "somebody"}


@pytest.mark.parametrize(
    ("says", "ended"),
    [
        ("slurm_load_jobs error: Invalid job id specified", True),
        ("qstat: Unknown Job Id Error 7.server", True),
        ("qstat: 7.server Job has finished, use -x or -H to obtain historical job information", True),
        ("Job <7> is not found", True),
        ("qstat: cannot connect to server (errno=111)", False),
        ("sudo: a password is required", False),
        ("", False),
    ],
)
async def test_only_the_queues_own_word_ends_a_job(says: str, ended: bool) -> None:
    made: Any = stateless(QueueSpawner)
    spawner = made(exec_prefix="", batch_query_cmd=f"echo '{says}' >&2; exit 1; #")
    spawner.job_id = "7"
    assert await spawner.query_job_status() is (JobStatus.NOTFOUND if ended else JobStatus.UNKNOWN)


class TalkativeSpawner(IdleSpawner):
    """Polls with a text."""

    async def poll(self) -> Any:
        """Not the number that it should be."""
        return "Exited (137)"


async def test_a_poll_that_is_no_number_is_told_as_1() -> None:
    spawner: Any = stateless(TalkativeSpawner)()
    assert await driving.poll(spawner) == 1
