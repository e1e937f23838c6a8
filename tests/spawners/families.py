"""The kinds of Spawners that the suite is played with. Another one is another ``Family``, listed in ``conftest.py``."""

from __future__ import annotations

import getpass
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from tests.support import docker_engine, slurm, tiny_server
from tests.support.outpost import ROOT, named_servers

CONFIG = """
import asyncio, sys
sys.path.insert(0, {root!r})
from {module} import {name}

class LingeringSpawner({name}):
    async def start(self):
        address = await super().start()
        if self.user_options.get("linger"):
            await asyncio.sleep(3600)
        return address

c.JupyterHubOutpost.spawner_class = LingeringSpawner
c.Spawner.cmd = {cmd!r}
c.Spawner.environment = {{"ZOO_FOLDER": {folder!r}}}
c.Spawner.start_timeout = 60
"""


class Family(ABC):
    """A Spawner class, and the world its servers live in as somebody sees it who does not ask Outpost."""

    module: str
    spawner: str
    refused: Mapping[str, Any]
    """What to add to a start that is refused."""
    refusal: str
    """What the hub is told then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def config(self) -> str:
        """Outpost's configuration."""
        cmd = [sys.executable, tiny_server.__file__]
        return CONFIG.format(root=str(ROOT), module=self.module, name=self.spawner, cmd=cmd, folder=str(self.folder))

    def env(self) -> dict[str, str]:
        """What Outpost's environment needs."""
        return {"OUTPOST_LEASE_SECONDS": "2"}

    @abstractmethod
    def resources(self) -> list[str]:
        """The names of the servers of which there is anything, sorted."""

    @abstractmethod
    def take_away(self, name: str) -> None:
        """Take a server away, as its operator might, without a word to Outpost."""

    def told(self, code: int) -> set[int]:
        """What may be told of a server that ended with that exit code."""
        return {code}

    def forget_ended(self) -> None:
        """Time goes by, and the world forgets what has ended, if it does so at all."""
        return

    def close(self) -> None:
        """Take away whatever is left."""
        for name in self.resources():
            self.take_away(name)


class LocalFamily(Family):
    """Processes."""

    module, spawner = "jupyterhub.spawner", "SimpleLocalProcessSpawner"
    refused: Mapping[str, Any] = {"misc": {"cmd": ["no-such-program"]}}
    refusal = "no-such-program"

    def resources(self) -> list[str]:
        """By their environment."""
        return [name for name, _ in named_servers(self.folder, "JUPYTERHUB_SERVER_NAME")]

    def take_away(self, name: str) -> None:
        """``kill -9``."""
        for found, server in named_servers(self.folder, "JUPYTERHUB_SERVER_NAME"):
            if found == name:
                server.kill()

    def told(self, code: int) -> set[int]:
        """Only the process's parent can know the code, which may be an Outpost that is gone."""
        return {code, 0}


SLURM_CONFIG = """
from traitlets import Unicode
class HomelySpawner(LingeringSpawner):
    ip = Unicode("127.0.0.1")
    req_homedir = Unicode({folder!r})
c.JupyterHubOutpost.spawner_class = HomelySpawner
c.BatchSpawnerBase.exec_prefix = ""
c.BatchSpawnerBase.startup_poll_interval = 0.1
"""


class SlurmFamily(Family):
    """Jobs of a cluster that is made of stand-ins."""

    module, spawner = "batchspawner", "SlurmSpawner"
    refused: Mapping[str, Any] = {"user_options": {"partition": "nowhere"}}
    refusal = "invalid partition specified: nowhere"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cluster = slurm.Cluster(folder / "slurm").install()

    def config(self) -> str:
        """Jobs listen on loopback, and leave their files in the folder."""
        commands = {
            "submit": f"{self.cluster.bin}/sbatch --parsable",
            "query": f"{self.cluster.bin}/squeue -h -j {{job_id}} -o '%T %B'",
            "cancel": f"{self.cluster.bin}/scancel {{job_id}}",
        }
        lines = [f"c.SlurmSpawner.batch_{name}_cmd = {command!r}" for name, command in commands.items()]
        more = SLURM_CONFIG.format(folder=str(self.folder))
        return "\n".join([super().config(), more, *lines])

    def resources(self) -> list[str]:
        """Jobs that wait or run."""
        return sorted(job.info["env"]["JUPYTERHUB_SERVER_NAME"] for job in self.cluster.active())

    def take_away(self, name: str) -> None:
        """``scancel``."""
        for job in self.cluster.active():
            if job.info["env"]["JUPYTERHUB_SERVER_NAME"] == name:
                job.cancel()

    def told(self, code: int) -> set[int]:
        """BatchSpawner does not ask for exit codes."""
        return {1}

    def forget_ended(self) -> None:
        """After some minutes Slurm does not know a job any more."""
        self.cluster.purge()


class DockerFamily(Family):
    """Containers of a real engine."""

    module, spawner = "dockerspawner", "DockerSpawner"
    refused: Mapping[str, Any] = {"user_options": {"image": "no-such-image:1"}}
    refusal = "No such image: no-such-image:1"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine = docker.from_env()
        self.image = docker_engine.image(self.engine)

    def config(self) -> str:
        """The image is empty: the servers' programs are this machine's."""
        return (
            super().config()
            + f"""
c.DockerSpawner.image = {self.image!r}
c.DockerSpawner.allowed_images = "*"
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.read_only_volumes = {docker_engine.programs()!r}
"""
        )

    def env(self) -> dict[str, str]:
        """With the way to the engine."""
        return super().env() | {key: value for key, value in os.environ.items() if key == "DOCKER_HOST"}

    def containers(self) -> dict[str, Any]:
        """All there are, by their server's name."""
        found = {}
        for container in self.engine.containers.list(all=True, ignore_removed=True):
            env = dict(line.partition("=")[::2] for line in container.attrs["Config"]["Env"])
            if env.get("ZOO_FOLDER") == str(self.folder):
                found[env["JUPYTERHUB_SERVER_NAME"]] = container
        return found

    def resources(self) -> list[str]:
        """Running or not."""
        return sorted(self.containers())

    def take_away(self, name: str) -> None:
        """``docker rm -f``."""
        self.containers()[name].remove(force=True)

    def close(self) -> None:
        """Close the connections too."""
        super().close()
        self.engine.close()


USER = getpass.getuser()
"""Slurm's users must exist."""

ACCESS = [f"access:servers!user={USER}"]
"""What a user may do with a server."""
