"""A PostgreSQL of our own on loopback, where the server is installed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from local.processes import is_free

REQUIRED = os.environ.get("OUTPOST_REQUIRE_POSTGRESQL") == "1"
"""Set where a missing PostgreSQL is a failure: in the project's own checks."""

_PORTS = range(15_000, 32_000)
"""None of those that the system gives to outgoing connections."""

_MOST_WORKERS = 16


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, or None where there is no server."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def require() -> None:
    """Skip the test where no server is installed, unless the checks require one."""
    if programs() is None and not REQUIRED:
        pytest.skip("no PostgreSQL server is installed here; .ci/run installs one and runs this")


def _shuffled() -> Iterator[int]:
    """All ports, again and again; of pytest's workers each has some of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    ports = _PORTS[int(worker) % _MOST_WORKERS :: _MOST_WORKERS] if worker else _PORTS
    return cycle(random.sample(ports, len(ports)))


_candidates = _shuffled()


def free_port() -> int:
    """A port nobody listens on; none is told twice before all were told."""
    return next(filter(is_free, _candidates))


class Cluster:
    """A running server; each database in it is made by a test."""

    def __init__(self, bin_folder: Path, folder: Path, also_on: str = "") -> None:
        """``also_on`` is another address of this machine to listen on, for its network."""
        self._bin = bin_folder
        self._addresses = f"127.0.0.1,{also_on}".rstrip(",")
        self._data = self.sockets = folder / "data"
        """``sockets`` is the folder of the server's Unix socket."""
        self.port = free_port()
        # PostgreSQL refuses to run as root, where its packages have made a user for it.
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._as_user:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "outpost", "--auth=trust", "--no-sync")
        if also_on:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._bin / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd="/")

    def start(self) -> None:
        """Start, or start again."""
        options = f"-h {self._addresses} -p {self.port} -k {self.sockets} -c fsync=off -c max_connections=200"
        log = str(self._data.parent / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; ``immediate`` is what a crash looks like."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It hangs: it takes connections and answers nothing."""
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        everybody = [postmaster, *map(int, children)]
        try:
            for pid in everybody:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in everybody:
                os.kill(pid, signal.SIGCONT)

    def create_database(self, name: str, template: str = "template1") -> dict[str, str]:
        """Make a database, as a copy of another; the environment that points Outpost at it."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "outpost", "-T", template, name)
        return {
            "SQL_TYPE": "postgresql",
            "SQL_HOST": "127.0.0.1",
            "SQL_PORT": str(self.port),
            "SQL_USER": "outpost",
            "SQL_DATABASE": name,
        }

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._run("dropdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "outpost", "--force", name)


@contextmanager
def cluster(folder: Path, also_on: str = "") -> Iterator[Cluster]:
    """A server for as long as the block runs."""
    bin_folder = programs()
    assert bin_folder is not None, "no PostgreSQL server is installed"
    made = Cluster(bin_folder, folder, also_on)
    made.start()
    try:
        yield made
    finally:
        made.stop("fast")
