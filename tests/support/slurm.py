"""A cluster of one machine: stand-ins for Slurm's commands that really run the jobs, as processes.

The module is the commands too: each is a link to it, and the folder it lies in is the cluster's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACTIVE = ("PENDING", "RUNNING", "COMPLETING")
COMMANDS = ("sbatch", "squeue", "scancel", "srun")
KILL_WAIT_SECONDS = 5
NODE = "localhost"


class Cluster:
    """Queue and jobs, as files in a folder, so that every command sees the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = folder / "jobs"

    @property
    def bin(self) -> Path:
        """Where the commands are."""
        return self.folder / "bin"

    def install(self) -> Cluster:
        """Make the commands."""
        self.bin.mkdir(parents=True)
        self.jobs.mkdir()
        for command in COMMANDS:
            script = self.bin / command
            script.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {command} {self.folder} "$@"\n')
            script.chmod(0o755)
        return self

    def fail(self, command: str, message: str | None) -> None:
        """From now on the command fails with that message; with None it works again."""
        note = self.folder / f"{command}.fails"
        if message is None:
            note.unlink(missing_ok=True)
        else:
            note.write_text(message)

    def times(self, command: str) -> int:
        """How often the command was called."""
        log = self.folder / f"{command}.calls"
        return len(log.read_bytes()) if log.exists() else 0

    def hold(self) -> None:
        """New jobs stay in the queue from now on, as if the cluster were full."""
        (self.folder / "held").touch()

    @property
    def is_full(self) -> bool:
        """Do jobs wait?"""
        return (self.folder / "held").exists()

    def release(self) -> None:
        """Jobs that wait are started."""
        (self.folder / "held").unlink(missing_ok=True)

    def purge(self) -> None:
        """Forget the jobs that have ended, as Slurm does after ``MinJobAge``."""
        for job in self.all():
            if job.state not in ACTIVE:
                job.path.rename(job.path.with_suffix(".purged"))

    def all(self) -> list[Job]:
        """Every job that is known, the oldest first."""
        return [Job(self, path) for path in sorted(self.jobs.glob("*.json"), key=lambda path: int(path.stem))]

    def active(self) -> list[Job]:
        """The jobs that wait or run."""
        return [job for job in self.all() if job.state in ACTIVE]

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes anything meanwhile."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def submit(self, info: dict[str, Any]) -> Job:
        """A new job, with the next number."""
        with self.alone():
            number = 1 + max((int(path.stem) for path in self.jobs.iterdir()), default=0)
            job = Job(self, self.jobs / f"{number}.json")
            job.write({**info, "state": "PENDING", "pid": 0})
        return job


class Job:
    """One job; its facts are read anew each time."""

    def __init__(self, cluster: Cluster, path: Path) -> None:
        self.cluster = cluster
        self.path = path
        self.id = path.stem

    @property
    def info(self) -> dict[str, Any]:
        """All that is known of it."""
        read: dict[str, Any] = json.loads(self.path.read_text())
        return read

    @property
    def state(self) -> str:
        """PENDING, RUNNING, COMPLETING, COMPLETED, FAILED or CANCELLED."""
        return str(self.info["state"])

    def write(self, info: dict[str, Any]) -> None:
        """Replace all that is known of it, in one step for who reads it."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(info))
        new.replace(self.path)

    def change(self, **facts: Any) -> None:
        """Set facts."""
        self.write(self.info | facts)

    def cancel(self) -> None:
        """What ``scancel`` does, whoever calls it: SIGTERM to all of the job, and SIGKILL to what does not listen."""
        with self.cluster.alone():
            if self.state == "PENDING":
                self.change(state="CANCELLED")
            elif self.state == "RUNNING":
                self.change(state="COMPLETING", kill_at=time.time() + KILL_WAIT_SECONDS)
                self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """To all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.info["pid"], number)

    def run(self) -> None:
        """Wait in the queue, then run the script; in a process of its own."""
        while self.cluster.is_full and self.state == "PENDING":
            time.sleep(0.05)
        with self.cluster.alone():
            if self.state != "PENDING":
                return
            process = self._begin()
        while process.poll() is None:
            time.sleep(0.05)
            if self.info.get("kill_at", float("inf")) < time.time():
                self.signal(signal.SIGKILL)
        self.signal(signal.SIGKILL)
        with self.cluster.alone():
            ended = "COMPLETED" if process.returncode == 0 else "FAILED"
            self.change(state="CANCELLED" if self.state == "COMPLETING" else ended)

    def _begin(self) -> subprocess.Popen[bytes]:
        info, script = self.info, self.path.with_suffix(".sh")
        script.write_text(info["script"])
        with self.path.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", script], env=info["env"], cwd=info["folder"], stdout=log, stderr=log, start_new_session=True
            )
        self.change(state="RUNNING", pid=process.pid)
        return process


def sbatch(cluster: Cluster, arguments: list[str]) -> None:
    """Take a script from stdin; with ``--parsable`` print nothing but the id."""
    script = sys.stdin.read()
    options = dict(_options([*re.findall(r"^#SBATCH +(\S+)", script, re.MULTILINE), *arguments]))
    if options.get("partition") == "nowhere":
        sys.exit("sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job submission failed")
    exported = {name: os.environ[name] for name in options.get("export", "").split(",") if name in os.environ}
    job = cluster.submit(
        {
            "script": script,
            "env": {"PATH": f"{cluster.bin}:{os.defpath}", **exported},
            "folder": options.get("chdir", "/"),
            "name": options.get("job-name", "sbatch"),
            "comment": options.get("comment", ""),
        }
    )
    if os.fork() == 0:  # the cluster's daemon, as far as there is one
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        job.run()
        os._exit(0)
    print(job.id if "parsable" in options else f"Submitted batch job {job.id}")  # noqa: T201


def squeue(cluster: Cluster, arguments: list[str]) -> None:
    """One line a job; a job that is not known (any more) is an error, one that has ended is no line."""
    wanted = arguments[arguments.index("-j") + 1] if "-j" in arguments else None
    if wanted is not None and wanted not in [job.id for job in cluster.all()]:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    form = arguments[arguments.index("-o") + 1]
    for job in cluster.active():
        if wanted in (None, job.id):
            info = job.info
            node = "n/a" if info["state"] == "PENDING" else NODE
            fields = {
                "%i": job.id,
                "%T": info["state"],
                "%B": node,
                "%k": info["comment"] or "(null)",
                "%j": info["name"],
            }
            print(re.sub("%.", lambda field: str(fields[field[0]]), form))  # noqa: B023, T201


def scancel(cluster: Cluster, arguments: list[str]) -> None:
    """End a job; one that is not known is an error."""
    for wanted in arguments:
        found = [job for job in cluster.all() if job.id == wanted]
        if not found:
            sys.exit(f"scancel: error: Kill job error on job id {wanted}: Invalid job id specified")
        found[0].cancel()


def srun(_: Cluster, arguments: list[str]) -> None:
    """Run a step of a job."""
    os.execvp(arguments[0], arguments)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            yield name, value


def main(command: str, folder: str, *arguments: str) -> None:
    """Be one of the commands."""
    cluster = Cluster(Path(folder))
    with (cluster.folder / f"{command}.calls").open("ab") as log:
        log.write(b".")
    with contextlib.suppress(FileNotFoundError):
        sys.exit((cluster.folder / f"{command}.fails").read_text())
    {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "srun": srun}[command](cluster, list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
