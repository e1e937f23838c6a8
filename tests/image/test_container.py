"""One container: the API with its database, alone or beside the SSH node."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import Container, Keys, Run
from tests.image.ssh import Ssh
from tests.support import docker_engine, postgresql
from tests.support.waiting import eventually

pytestmark = pytest.mark.image

END_SSHD = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if (process / "cmdline").read_bytes().startswith(b"sshd:"):
        os.kill(int(process.name), signal.SIGKILL)
"""


def started(container: Container, name: str) -> None:
    """A hub has a server there."""
    with container.hub() as hub:
        assert hub.start(name).json() == {"service": "http://10.0.0.7:8888"}


def names(container: Container) -> list[str]:
    """Of the servers that a hub has there."""
    with container.hub() as hub:
        return [service["name"] for service in hub.services()]


def test_services_outlive_a_container_that_was_killed(run: Run) -> None:
    first = run().answers()
    started(first, "a")
    first.raw.kill()
    second = run().answers()
    assert names(second) == ["a"]
    with second.hub() as hub:
        assert hub.stop("a").status_code == 200
    assert names(second) == []


def test_it_keeps_services_in_postgresql(run: Run) -> None:
    postgresql.require()
    address = docker_engine.bridge_address()
    # Not below pytest's folder, which is closed to PostgreSQL's user.
    with tempfile.TemporaryDirectory() as folder, postgresql.cluster(Path(folder), address) as cluster:
        database = cluster.create_database("image") | {"SQL_HOST": address, "SQL_SSLMODE": "disable"}
        first = run(**database).answers()
        started(first, "a")
        first.raw.kill()
        assert names(run(**database).answers()) == ["a"]


def test_it_ends_in_order_when_it_is_told_to(run: Run) -> None:
    container = run().answers()
    container.raw.stop(timeout=30)
    assert "Finished server process" in container.log()


def test_it_runs_as_nobody_in_particular_and_can_write_nothing_but_its_folders(run: Run) -> None:
    container = run().answers()
    inside = """
import os, pathlib
told = [os.getuid() == os.getgid() == 1000]
for folder in ("/", "/etc/outpost", "/opt/outpost", "/home"):
    try:
        pathlib.Path(folder, "written").touch()
    except OSError:
        told.append(True)
    else:
        told.append(folder)
print(told)
"""
    assert container.python(inside).strip() == "[True, True, True, True, True]"


def test_a_mistake_ends_it_with_one_line(run: Run, tmp_path: Path) -> None:
    broken = run(SQL_TYPE="postgres")
    assert broken.exit_code() == 2
    assert len(broken.log().splitlines()) == 1
    assert broken.log().startswith("outpost: SQL_TYPE: ")


def test_api_and_ssh_node_run_in_one_container(run: Run, keys: Keys, ssh_folders: dict[str, str]) -> None:
    container = run("/usr/local/bin/outpost", ssh_folders).answers()
    with Ssh(keys.folder / "hub", container.port(2222)).forward("127.0.0.1:8080") as url:
        assert url.ping() == {"ping": "pong!"}


def test_a_new_container_is_a_new_ssh_node_to_the_hubs(run: Run, ssh_folders: dict[str, str]) -> None:
    generations = set()
    for _ in range(2):
        container = run("/usr/local/bin/outpost", ssh_folders).answers()
        program = "import sqlite3; print(*sqlite3.connect('/var/lib/outpost/outpost.sqlite').execute('{}').fetchone())"
        generations.add(container.python(program.format("SELECT generation FROM ssh_node")))
        container.raw.kill()
    assert len(generations) == 2


def test_the_container_ends_when_its_ssh_node_does(run: Run, ssh_folders: dict[str, str]) -> None:
    container = run("/usr/local/bin/outpost", ssh_folders).answers()
    container.python(END_SSHD)
    assert container.exit_code() != 0


def test_both_end_in_order_when_they_are_told_to(run: Run, ssh_folders: dict[str, str]) -> None:
    container = run("/usr/local/bin/outpost", ssh_folders).answers()
    container.raw.stop(timeout=30)
    assert "Finished server process" in container.log()
    assert container.exit_code() == 0


def test_the_ssh_node_alone_needs_nothing_of_outpost(run: Run, keys: Keys, ssh_folders: dict[str, str]) -> None:
    container = run("/usr/local/bin/ssh-node", ssh_folders)
    ssh = Ssh(keys.folder / "hub", container.port(2222))
    eventually(ssh.is_up)
    assert ssh.run("-N", "-W", "127.0.0.1:2222").stdout.startswith("SSH-2.0-")


def test_without_a_key_to_let_in_no_ssh_node_starts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "authorized_keys").write_text("# nobody yet\n")
    container = run("/usr/local/bin/ssh-node", {str(tmp_path): "/etc/outpost/ssh:ro"})
    assert container.exit_code() == 2
    assert len(container.log().splitlines()) == 1
    assert "/etc/outpost/ssh/authorized_keys" in container.log()


def test_host_keys_outlive_the_container(run: Run, keys: Keys, ssh_folders: dict[str, str], tmp_path: Path) -> None:
    kept = tmp_path / "host-keys"
    kept.mkdir()
    for kind in ("ed25519", "ecdsa"):
        made = keys.make(f"host-{kind}", kind)
        (kept / f"ssh_host_{kind}_key").write_bytes(made.read_bytes())
        (kept / f"ssh_host_{kind}_key").chmod(0o444)  # a secret's files belong to root
    known: list[Any] = []
    for _ in range(2):
        container = run("/usr/local/bin/ssh-node", ssh_folders | {str(kept): "/etc/outpost/ssh-host-keys:ro"})
        ssh = Ssh(keys.folder / "hub", container.port(2222))
        eventually(ssh.is_up)
        known.append(ssh.host_keys())
    ours = {keys.folder.joinpath(f"host-{kind}.pub").read_text().split()[1] for kind in ("ed25519", "ecdsa")}
    assert known == [ours, ours]
