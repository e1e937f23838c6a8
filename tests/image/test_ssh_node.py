"""The SSH node's one use: a key that is let in may have ports forwarded, and may do nothing else at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.image.conftest import Container, Keys, Run
from tests.image.ssh import Ssh
from tests.support.waiting import eventually

pytestmark = pytest.mark.image

REFUSED = "administratively prohibited"


@pytest.fixture
def node(run: Run, keys: Keys, tmp_path: Path) -> Container:
    """An SSH node that lets two keys in; the second came with options that would allow more."""
    plain = keys.make("hub").with_suffix(".pub").read_text()
    generous = keys.make("generous").with_suffix(".pub").read_text()
    options = 'pty,agent-forwarding,X11-forwarding,user-rc,command="/bin/sh -c id",tunnel="0"'
    folder = tmp_path / "authorized"
    folder.mkdir()
    (folder / "authorized_keys").write_text(f"# hubs\n\n{plain}{options} {generous}")
    return run("/usr/local/bin/outpost", {str(folder): "/etc/outpost/ssh:ro"}).answers()


@pytest.fixture(params=["hub", "generous"])
def ssh(node: Container, keys: Keys, request: pytest.FixtureRequest) -> Ssh:
    """The client with a key that is let in."""
    return Ssh(keys.folder / request.param, node.port(2222))


@pytest.fixture
def transport(node: Container, keys: Keys) -> Iterator[paramiko.Transport]:
    """A logged in connection that can ask for what no client's command line would."""
    made = paramiko.Transport(("127.0.0.1", node.port(2222)))
    made.connect(username="jhuboutpost", pkey=paramiko.Ed25519Key(filename=str(keys.folder / "generous")))
    yield made
    made.close()


def test_a_port_is_forwarded(ssh: Ssh) -> None:
    with ssh.forward("127.0.0.1:8080") as url:
        assert url.ping() == {"ping": "pong!"}


def test_hubs_share_one_connection_for_all_their_tunnels(ssh: Ssh, tmp_path: Path) -> None:
    ssh.options += ["-o", "ControlMaster=auto", "-o", f"ControlPath={tmp_path / 'control'}", "-o", "ControlPersist=yes"]
    del ssh.options[ssh.options.index("ControlPath=none") - 1 : ssh.options.index("ControlPath=none") + 1]
    assert ssh.run("-f", "-N", "-n").returncode == 0
    try:
        forwarded = [ssh.run("-O", "forward", "-L", f"127.0.0.1:0:127.0.0.1:{port}") for port in (8080, 2222)]
        assert [told.returncode for told in forwarded] == [0, 0]
    finally:
        ssh.run("-O", "exit")


@pytest.mark.parametrize("arguments", [(), ("-tt",), ("-A",), ("-X",)], ids=["plain", "terminal", "agent", "x11"])
def test_there_is_no_shell(ssh: Ssh, arguments: tuple[str, ...]) -> None:
    told = ssh.run(*arguments)
    assert told.returncode == 255
    assert not told.stdout


@pytest.mark.parametrize("command", ["id", "/bin/false", "python3 -c 1"])
def test_no_command_is_run(ssh: Ssh, command: str) -> None:
    told = ssh.run(then=(command,))
    assert told.returncode == 255
    assert not told.stdout


def test_no_file_is_copied(ssh: Ssh, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    target = "jhuboutpost@127.0.0.1"
    attempts = [
        ssh.copy("sftp", "-b", "/dev/null", target),
        ssh.copy("scp", f"{target}:/etc/passwd", str(tmp_path / "theirs")),
        ssh.copy("scp", "-O", str(tmp_path / "mine"), f"{target}:/tmp/mine"),
    ]
    assert [told.returncode for told in attempts] == [255, 255, 255]
    assert not (tmp_path / "theirs").exists()


def test_nobody_listens_on_the_node(ssh: Ssh) -> None:
    for listen in ("0:127.0.0.1:22", "/tmp/socket:127.0.0.1:22"):
        told = ssh.run("-N", "-R", listen)
        assert told.returncode == 255
        assert "remote port forwarding failed" in told.stderr


@pytest.mark.parametrize(
    "kind", ["session", "tun@openssh.com", "direct-streamlocal@openssh.com", "x11", "auth-agent@openssh.com"]
)
def test_no_other_channel_is_opened(transport: paramiko.Transport, kind: str) -> None:
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel(kind, ("/run/x.sock", 0), ("127.0.0.1", 0))


@pytest.mark.parametrize("key", ["hub", "stranger"])
def test_who_is_not_known_is_not_let_in(node: Container, keys: Keys, key: str) -> None:
    if key == "stranger":
        keys.make("stranger")
        assert "Permission denied" in Ssh(keys.folder / "stranger", node.port(2222)).run("-N").stderr
        return
    ssh = Ssh(keys.folder / key, node.port(2222))
    for user in ("root", "nobody"):
        assert "Permission denied" in ssh.run("-N", "-l", user).stderr


def test_what_may_be_reached_can_be_limited(run: Run, keys: Keys, ssh_folders: dict[str, str]) -> None:
    container = run("/usr/local/bin/ssh-node", ssh_folders, OUTPOST_SSH_PERMIT_OPEN="127.0.0.1:2222")
    ssh = Ssh(keys.folder / "hub", container.port(2222))
    eventually(ssh.is_up)
    assert ssh.run("-N", "-W", "127.0.0.1:2222").stdout.startswith("SSH-2.0-")
    assert REFUSED in ssh.run("-N", "-W", "127.0.0.1:8080").stderr


def test_who_came_in_is_in_the_log_and_nothing_secret(node: Container, ssh: Ssh) -> None:
    with ssh.forward("127.0.0.1:8080") as url:
        url.ping()
    eventually(lambda: "Accepted publickey for jhuboutpost" in node.log())
    assert "AAAA" not in node.log()
    assert os.environ.get("OUTPOST_CRYPT_KEY", "BEGIN") not in node.log()
