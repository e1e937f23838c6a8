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


def logins(node: Container) -> int:
    """How often somebody was let in."""
    return node.log().count("Accepted publickey for jhuboutpost")


@pytest.mark.parametrize("then", [(), ("id",)], ids=["shell", "command"])
@pytest.mark.parametrize("arguments", [(), ("-tt",)], ids=["plain", "terminal"])
def test_who_is_let_in_gets_neither_shell_nor_command(
    node: Container, ssh: Ssh, arguments: tuple[str, ...], then: tuple[str, ...]
) -> None:
    before = logins(node)
    told = ssh.run(*arguments, then=then)
    assert (told.returncode, told.stdout) == (255, "")
    eventually(lambda: logins(node) > before)


def test_a_session_would_have_neither_agent_nor_display_nor_terminal(node: Container) -> None:
    """No client comes that far, since no session is opened: sshd says what it would allow."""
    said = "import subprocess; subprocess.run(['/usr/sbin/sshd', '-T', '-f', '/run/outpost/sshd_config'], check=True)"
    allowed = set(node.python(said).splitlines())
    assert {"maxsessions 0", "allowagentforwarding no", "x11forwarding no", "permittty no"} <= allowed


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
