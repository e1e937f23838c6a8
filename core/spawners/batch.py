"""BatchSpawner's classes: jobs of a queue that is not always in the mood to answer."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Any

from batchspawner.batchspawner import JobStatus, format_template

from core.model import JsonDict, Service
from core.spawners.adapter import StatelessSpawner

PORTS = range(15_000, 32_000)
"""Below those that systems give to outgoing connections."""

_UNKNOWN_JOB = re.compile(r"invalid job id|unknown job|job has finished|job <.*> is not found", re.IGNORECASE)
"""How Slurm, Torque, PBS and LSF say that there is no such job (any more). Any other failure says nothing of it."""

if TYPE_CHECKING:

    class BatchBase(StatelessSpawner):
        """The part of ``batchspawner.BatchSpawnerBase`` that the mixins stand on."""

        batch_query_cmd: str
        batch_submit_cmd: str
        batchspawner_singleuser_cmd: str
        exec_prefix: str
        job_id: str
        job_status: str
        port: int

        async def cancel_batch_job(self) -> None: ...
        def get_req_subvars(self) -> JsonDict: ...
        async def query_job_status(self) -> JobStatus: ...
        async def run_command(self, cmd: str, input: str | None = None, env: Any = None) -> str: ...  # noqa: A002
        async def submit_batch_script(self) -> str: ...

else:
    BatchBase = StatelessSpawner


class StatelessBatchSpawner(BatchBase):
    """The ``BatchSpawner`` family. Only the queue's own word ends a job; the port is chosen here."""

    _answered = True
    """Has the last command said something of the job?"""

    def attach(self, service: Service) -> None:
        """The job's wrapper would tell its port to the hub, which has no use for it: the server is not its own."""
        super().attach(service)
        self._port = self.port or random.choice(PORTS)  # noqa: S311  # no secret
        if self.batchspawner_singleuser_cmd.endswith("batchspawner-singleuser"):
            self.batchspawner_singleuser_cmd = ""

    async def run_command(self, cmd: str, input: str | None = None, env: Any = None) -> str:  # noqa: A002
        """As in BatchSpawner, but cancelled only once the command has ended: torn off, it says nothing of its job."""
        self._answered = False
        command = asyncio.ensure_future(super().run_command(cmd, input=input, env=env))
        try:
            output = await asyncio.shield(command)
        except asyncio.CancelledError:
            await asyncio.gather(command, return_exceptions=True)
            raise
        except RuntimeError as error:
            self._answered = bool(_UNKNOWN_JOB.search(str(error)))
            raise
        self._answered = True
        return output

    async def submit_batch_script(self) -> str:
        """Submit the job; it is to listen on a port that is known here."""
        self.port = self._port
        self.notes["job_id"] = await super().submit_batch_script()
        return str(self.notes["job_id"])

    async def query_job_status(self) -> JobStatus:
        """What the queue says. A queue that does not answer has not lost the job."""
        self._answered = True
        status = await super().query_job_status()
        return JobStatus.UNKNOWN if status is JobStatus.NOTFOUND and not self._answered else status

    async def cancel_batch_job(self) -> None:
        """Cancel the job. One that has ended meanwhile is no failure."""
        try:
            await super().cancel_batch_job()
        except RuntimeError:
            if await self.query_job_status() is not JobStatus.NOTFOUND:
                raise

    async def _find(self) -> str:
        """The id of this start's job; ``""`` when there is none. BatchSpawner forgets it when it misses the job."""
        return str(self.notes.get("job_id", ""))

    async def poll(self) -> int | None:
        """1 when the job has ended, however it did."""
        self.job_id = self.job_id or await self._find()
        return await super().poll()

    async def stop(self, now: bool = False) -> None:
        """Cancel the job, if there is one."""
        self.job_id = self.job_id or await self._find()
        if self.job_id:
            await super().stop(now)


class StatelessSlurmSpawner(StatelessBatchSpawner):
    """``SlurmSpawner``: the mark is the job's comment, by which a job is found whose start was cut off."""

    needs_mark = True

    async def submit_batch_script(self) -> str:
        """Submit the job with its mark."""
        self.batch_submit_cmd += f" --comment=outpost:{self.mark}"
        return await super().submit_batch_script()

    async def _find(self) -> str:
        """The job's id, by the mark if it was not stored."""
        if (known := await super()._find()) or "mark" not in self.notes:
            return known
        squeue = self.batch_query_cmd.split()[0]
        prefix = format_template(self.exec_prefix, **self.get_req_subvars())
        listed = await self.run_command(f"{prefix} {squeue} -h -o '%i %k'")
        lines = (line.split() for line in listed.splitlines())
        return next((words[0] for words in lines if words[1:] == [f"outpost:{self.notes['mark']}"]), "")
