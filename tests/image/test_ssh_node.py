"""The image's SSH node: a key that is let in may have ports forwarded, and may do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import Container, Keys, running
from tests.image.ssh import Ssh
from tests.support.waiting import eventually

pytestmark = pytest.mark.image


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """One hub's."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def node(engine: Any, image: str, keys: Keys) -> Iterator[Container]:
    """One container, API and SSH node, for all that only look."""
    volume = engine.volumes.create()
    with running(engine, image, volume.name) as run:
        yield run("/usr/local/bin/outpost", keys.let_in("hub")).answers()
    volume.remove(force=True)


@pytest.fixture
def ssh(node: Container, keys: Keys) -> Ssh:
    """The client with the key that is let in."""
    return Ssh(keys.folder / "hub", node.port(2222))


def test_a_port_is_forwarded_and_the_log_says_for_whom(node: Container, ssh: Ssh) -> None:
    with ssh.forward("127.0.0.1:8080") as url:
        assert url.ping() == {"ping": "pong!"}
    eventually(lambda: "Accepted publickey for jhuboutpost" in node.log())
    assert "AAAA" not in node.log()


@pytest.mark.parametrize("arguments", [(), ("-tt",), ("-A",), ("-X",)], ids=["plain", "terminal", "agent", "x11"])
def test_there_is_no_shell(ssh: Ssh, arguments: tuple[str, ...]) -> None:
    told = ssh.run(*arguments)
    assert told.returncode == 255
    assert not told.stdout


def test_no_command_is_run(ssh: Ssh) -> None:
    told = ssh.run(then=("id",))
    assert told.returncode == 255
    assert not told.stdout


def test_no_file_is_copied(node: Container, ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    target = "jhuboutpost@127.0.0.1"
    attempts = [
        ssh.copy("sftp", "-b", "/dev/null", target),
        ssh.copy("scp", f"{target}:/etc/passwd", str(tmp_path / "theirs")),
        ssh.copy("scp", "-O", str(tmp_path / "mine"), f"{target}:/tmp/mine"),
    ]
    assert 0 not in [told.returncode for told in attempts]
    assert not (tmp_path / "theirs").exists()
    assert node.python("import os; print(os.path.exists('/tmp/mine'))").strip() == "False"


@pytest.mark.parametrize("listen", ["0:127.0.0.1:22", "/tmp/socket:127.0.0.1:22"])
def test_nobody_listens_on_the_node(ssh: Ssh, listen: str) -> None:
    told = ssh.run("-N", "-R", listen)
    assert told.returncode == 255
    assert "remote port forwarding failed" in told.stderr
