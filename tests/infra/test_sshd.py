"""The SSH node as an ordinary user runs it: Debian's sshd, OpenSSH's client, no container."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.sshd import keys
from tests.support.outpost import ROOT
from tests.support.postgresql import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.ssh

REQUIRED = os.environ.get("OUTPOST_REQUIRE_SSHD") == "1"
"""Set where a missing sshd is a failure: in the project's own checks."""

USER = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
GENEROUS = 'pty,agent-forwarding,X11-forwarding,user-rc,command="/bin/sh -c id",tunnel="0",permitlisten="*:*"'


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for control sockets, and everybody may read it."""
    if not REQUIRED and shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]) is None:
        pytest.skip("no OpenSSH server is installed here; .ci/run installs one and runs this")
    with tempfile.TemporaryDirectory(prefix="ssh") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def _as(user: str) -> list[str]:
    """Runs what follows as an ordinary user, who may read a Python that root has installed for itself."""
    only = "-all,+dac_read_search"
    ids = f"setpriv --reuid {user} --regid {user} --clear-groups"
    return f"{ids} --bounding-set {only} --inh-caps {only} --ambient-caps +dac_read_search".split() * (
        os.geteuid() == 0
    )


class Node:
    """``python -m infra.sshd`` with files below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.user = folder, free_port(), str(USER.pw_uid)
        for name in ("run", "host-keys"):
            (folder / name).mkdir()
        os.chown(folder / "run", USER.pw_uid, -1)
        self.authorized, self.log = folder / "authorized_keys", folder / "log"
        self.started: list[subprocess.Popen[bytes]] = []
        self.looks: float | None = None
        """How often it looks for other keys, in seconds; ``None``: as often as it does by itself."""

    def key(self, name: str, kind: str = "ed25519") -> str:
        """A new key; its public half."""
        key = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
        return Path(f"{key}.pub").read_text().strip()

    def run(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """It, begun; ``command`` runs beside its sshd."""
        often = f"import sys; from infra.sshd.__main__ import main; sys.exit(main(sys.argv[1:], {self.looks}))"
        program = ["-m", "infra.sshd"] if self.looks is None else ["-c", often]
        ours = {
            "OUTPOST_SSH_AUTHORIZED_KEYS": str(self.authorized),
            "OUTPOST_SSH_HOST_KEYS": str(self.folder / "host-keys"),
            "OUTPOST_SSH_FOLDER": str(self.folder / "run"),
            "OUTPOST_SSH_PORT": str(self.port),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*_as(self.user), sys.executable, *program, *command],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]} | ours | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def answers(self) -> Node:
        """Once an SSH server does."""
        eventually(self.greeting, what=self.log.read_text())
        return self

    def greeting(self) -> bytes:
        """The first that an SSH server says; nothing where there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                return connection.recv(4)
        except OSError:
            return b""

    def ssh(self, key: str, *arguments: str, program: str = "ssh") -> subprocess.CompletedProcess[str]:
        """What becomes of a call of OpenSSH's client."""
        known = {"UserKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "no", "IdentitiesOnly": "yes"}
        options = known | {"BatchMode": "yes", "ExitOnForwardFailure": "yes", "Port": str(self.port)}
        command = [program, "-F", "none", "-i", str(self.folder / key)]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return subprocess.run(
            [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )

    def host_keys(self) -> set[str]:
        """Its own public keys."""
        scan = ["ssh-keyscan", "-p", str(self.port), "127.0.0.1"]
        told = subprocess.run(scan, capture_output=True, text=True, timeout=30, check=True).stdout
        return {line.split()[2] for line in told.splitlines() if not line.startswith("#")}

    @property
    def login(self) -> str:
        """Who a hub logs in as."""
        return f"{USER.pw_name}@127.0.0.1"

    def refusal(self) -> str:
        """The only line of one that does not start."""
        assert self.run().wait(20) == 2, self.log.read_text()
        (line,) = self.log.read_text().splitlines()
        return line


@pytest.fixture
def node(folder: Path) -> Iterator[Node]:
    """Not started yet; ends with all that it started."""
    made = Node(folder)
    yield made
    for process in made.started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def running(node: Node) -> Node:
    """One that lets two keys in; the second came with options that would allow more."""
    plain, generous = node.key("plain"), node.key("generous")
    node.authorized.write_text(f"# hubs\n\n{plain}\n{GENEROUS} {generous}\n")
    node.run()
    return node.answers()


@pytest.mark.parametrize("key", ["plain", "generous"])
def test_a_key_that_is_let_in_reaches_ports(running: Node, key: str) -> None:
    assert running.ssh(key, "-W", f"127.0.0.1:{running.port}", running.login).stdout.startswith("SSH-2.0-")


@pytest.mark.parametrize("key", ["plain", "generous"])
@pytest.mark.parametrize("asked", [(), ("-tt",), ("-s",)], ids=["shell", "terminal", "subsystem"])
def test_no_session_is_opened(running: Node, key: str, asked: tuple[str, ...]) -> None:
    what = ("sftp",) if asked == ("-s",) else ()
    for command in (what, ("id",)):
        told = running.ssh(key, "-v", *asked, running.login, *command)
        assert "Authenticated to 127.0.0.1" in told.stderr
        assert (told.returncode, told.stdout) == (255, "")


def test_a_session_would_have_neither_agent_nor_display_nor_terminal(running: Node) -> None:
    """No client comes that far, since no session is opened: sshd says what it would allow."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    command = [*_as(running.user), str(sshd), "-T", "-f", str(running.folder / "run" / "sshd_config")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert {
        "maxsessions 0",
        "forcecommand /bin/false",
        "allowagentforwarding no",
        "x11forwarding no",
        "permittty no",
        "permituserrc no",
        "permittunnel no",
    } <= set(told.splitlines())


@pytest.mark.parametrize("listen", ["0:127.0.0.1:22", "127.0.0.1:0:127.0.0.1:22", "{folder}/socket:127.0.0.1:22"])
@pytest.mark.parametrize("key", ["plain", "generous"])
def test_nobody_listens_on_the_node(running: Node, key: str, listen: str) -> None:
    told = running.ssh(key, "-N", "-R", listen.format(folder=running.folder / "run"), running.login)
    assert told.returncode == 255
    assert "remote port forwarding failed" in told.stderr


def test_no_socket_of_the_node_is_reached(running: Node) -> None:
    path, port = running.folder / "run" / "there.sock", free_port()
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(path))
        path.chmod(0o777)
        there.listen()
        there.settimeout(0)
        control = running.folder / "control"
        master = ("-M", "-S", str(control), "-f", "-N", "-E", str(running.folder / "client"))
        assert running.ssh("plain", *master, "-L", f"127.0.0.1:{port}:{path}", running.login).returncode == 0
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            assert connection.recv(1) == b""
        with pytest.raises(BlockingIOError):
            there.accept()
        running.ssh("plain", "-S", str(control), "-O", "exit", running.login)


def test_hundreds_of_tunnels_share_a_hubs_connection(running: Node) -> None:
    control = ("-S", str(running.folder / "control"))
    assert running.ssh("plain", "-M", *control, "-f", "-N", "-n", running.login).returncode == 0
    ports = [free_port() for _ in range(200)]
    asked = [word for port in ports for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:{running.port}")]
    assert running.ssh("plain", *control, "-O", "forward", *asked, running.login).returncode == 0
    open_connections = [socket.create_connection(("127.0.0.1", port), 10) for port in ports]
    assert [connection.recv(4) for connection in open_connections] == [b"SSH-"] * 200
    for connection in open_connections:
        connection.close()
    running.ssh("plain", *control, "-O", "exit", running.login)


def test_who_is_not_known_is_not_let_in(running: Node) -> None:
    running.key("stranger")
    assert "Permission denied" in running.ssh("stranger", "-N", running.login).stderr
    assert "Permission denied" in running.ssh("plain", "-N", "daemon@127.0.0.1").stderr


def test_what_an_operator_limits_stays_limited(node: Node) -> None:
    limited, elsewhere = node.key("limited"), node.key("elsewhere")
    node.authorized.write_text(f'permitopen="127.0.0.1:1" {limited}\nfrom="192.0.2.1" {elsewhere}\n')
    node.run()
    node.answers()
    told = node.ssh("limited", "-W", f"127.0.0.1:{node.port}", node.login)
    assert "administratively prohibited" in told.stderr
    assert "Permission denied" in node.ssh("elsewhere", "-N", node.login).stderr


def test_keys_that_are_restricted_already_still_forward(node: Node) -> None:
    node.authorized.write_text(f'restrict,port-forwarding,command="/bin/false" {node.key("hub")}\n')
    node.run()
    node.answers()
    assert node.ssh("hub", "-W", f"127.0.0.1:{node.port}", node.login).stdout.startswith("SSH-2.0-")


@pytest.mark.parametrize("line", ["", "# nobody\n", "ssh-ed25519 nonsense\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_without_a_key_to_let_in_it_does_not_start(node: Node, line: str) -> None:
    node.authorized.write_text(line)
    refusal = node.refusal()
    assert refusal.startswith(f"outpost: {node.authorized}")
    assert "BEGIN" not in refusal, "what is no public key may be a secret"


def test_a_file_that_is_missing_or_no_text_is_named(node: Node) -> None:
    assert node.refusal() == f"outpost: OUTPOST_SSH_AUTHORIZED_KEYS: {node.authorized}: No such file or directory"
    node.log.unlink()
    node.authorized.write_bytes(b"\xff\xfe\x00s\x00s\x00h")
    assert node.refusal() == f"outpost: OUTPOST_SSH_AUTHORIZED_KEYS: {node.authorized}: is no text file"


@pytest.mark.parametrize("content", [b"\xff\xfe nonsense", b"", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n"])
def test_a_host_key_that_is_none_is_named(node: Node, content: bytes) -> None:
    node.authorized.write_text(node.key("hub"))
    (node.folder / "host-keys" / "ssh_host_ecdsa_key").write_bytes(content)
    assert node.refusal().startswith(f"outpost: {node.folder}/host-keys/ssh_host_ecdsa_key: is no SSH private key")


def test_host_keys_of_other_names_are_refused_instead_of_making_one(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    node.key("host-keys/id_ed25519")
    refusal = node.refusal()
    assert refusal.startswith(f"outpost: OUTPOST_SSH_HOST_KEYS: {node.folder}/host-keys: no file there is named as a")
    assert "ssh_host_ed25519_key" in refusal
    assert "id_ed25519" in refusal


def test_a_secret_without_keys_as_kubernetes_mounts_it_is_an_empty_folder_and_a_new_key_is_spoken_of(
    node: Node,
) -> None:
    node.authorized.write_text(node.key("hub"))
    (node.folder / "host-keys" / "..2026_01_01").mkdir()
    (node.folder / "host-keys" / "..data").symlink_to("..2026_01_01")
    node.run()
    node.answers()
    assert f"outpost: {node.folder}/host-keys holds no host key, so a new one is made" in node.log.read_text()


def test_host_keys_as_kubernetes_mounts_them_are_found(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    folder = node.folder / "host-keys"
    (folder / "..2026_01_01").mkdir()
    (folder / "..data").symlink_to("..2026_01_01")
    given = node.key("host-keys/..2026_01_01/ssh_host_ed25519_key").split()[1]
    (folder / "..2026_01_01" / "ssh_host_ed25519_key").chmod(0o444)
    (folder / "ssh_host_ed25519_key").symlink_to("..data/ssh_host_ed25519_key")
    node.run()
    assert node.answers().host_keys() == {given}
    assert "a new one is made" not in node.log.read_text()


def test_a_user_without_a_name_is_refused(node: Node) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can run something as somebody else; .ci/run does")
    node.authorized.write_text(node.key("hub"))
    node.user = "54321"
    assert node.refusal() == "outpost: user 54321 has no name here: the SSH node must run as a user that has one"


def test_a_folder_that_cannot_be_written_is_named(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    missing = node.folder / "none"
    assert node.run(OUTPOST_SSH_FOLDER=str(missing)).wait(20) == 2
    assert node.log.read_text().startswith(f"outpost: OUTPOST_SSH_FOLDER: {missing} cannot be written: ")


def test_its_host_keys_are_those_that_were_given_though_a_group_may_read_them(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    given = [node.key(f"host-keys/ssh_host_{kind}_key", kind).split()[1] for kind in ("ecdsa", "ed25519")]
    for key in (node.folder / "host-keys").glob("*_key"):
        os.chown(key, -1, USER.pw_gid)
        key.chmod(0o440)
    node.run()
    assert node.answers().host_keys() == set(given)


def test_it_ends_when_what_runs_beside_it_ends(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    assert node.run("sh", "-c", "exit 7").wait(30) == 7
    assert not node.greeting()


def test_sigterm_ends_both_in_order(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    program = "trap 'echo in order; exit 0' TERM; echo generation=$OUTPOST_SSH_GENERATION; while :; do sleep 0.05; done"
    process = node.run("sh", "-c", program)
    node.answers()
    eventually(lambda: "generation=" in node.log.read_text())
    process.terminate()
    assert process.wait(30) == 0
    assert "in order" in node.log.read_text()
    assert not node.greeting()


def connect(node: Node, key: str) -> str:
    """A hub's connection that stays; the socket that more is asked for at."""
    control = str(node.folder / f"control-{key}")
    assert node.ssh(key, "-M", "-S", control, "-f", "-N", "-E", str(node.folder / "client"), node.login).returncode == 0
    return control


def is_let_in(node: Node, key: str) -> bool:
    """Does a port of the node answer through a new connection with that key?"""
    told = node.ssh(key, "-W", f"127.0.0.1:{node.port}", node.login)
    assert told.stdout.startswith("SSH-2.0-") or "Permission denied" in told.stderr, told.stderr
    return bool(told.stdout)


def test_a_key_that_is_taken_away_logs_in_no_more_and_connections_that_stand_stay(node: Node) -> None:
    old, new = node.key("old"), node.key("new")
    node.authorized.write_text(f"{old}\n")
    node.looks = 0.1
    node.run()
    node.answers()
    control = connect(node, "old")
    assert is_let_in(node, "old")
    assert not is_let_in(node, "new")

    node.authorized.write_text(f"{new}\n")
    eventually(lambda: is_let_in(node, "new"), what=node.log.read_text())
    assert not is_let_in(node, "old")
    port = free_port()
    forward = ("-O", "forward", "-L", f"127.0.0.1:{port}:127.0.0.1:{node.port}")
    assert node.ssh("old", "-S", control, *forward, node.login).returncode == 0
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        assert connection.recv(4) == b"SSH-"
    node.ssh("old", "-S", control, "-O", "exit", node.login)
    assert "AAAA" not in node.log.read_text()


def test_a_mistake_in_keys_that_change_is_said_once_and_the_last_good_ones_stay(node: Node) -> None:
    hub, other = node.key("hub"), node.key("other")
    node.authorized.write_text(f"{hub}\n")
    node.looks = 0.05
    node.run()
    node.answers()
    mistakes = {
        f"{other}\nssh-ed25519 nonsense\n": f"{node.authorized}, line 2: is no SSH public key",
        "# nobody\n": f"{node.authorized}: holds no SSH public key",
    }
    for text, mistake in mistakes.items():
        node.authorized.write_text(text)
        eventually(lambda mistake=mistake: f"outpost: {mistake}" in node.log.read_text())  # type: ignore[misc]
    node.authorized.unlink()
    eventually(lambda: "No such file or directory; the keys from before stay" in node.log.read_text())
    assert is_let_in(node, "hub")
    assert not is_let_in(node, "other")

    node.authorized.write_text(f"{other}\n")
    eventually(lambda: is_let_in(node, "other"))
    said = [line for line in node.log.read_text().splitlines() if line.startswith("outpost: ")]
    assert len([line for line in said if line.endswith("; the keys from before stay")]) == len(mistakes) + 1


def test_each_start_is_a_new_generation_unless_one_is_given(node: Node) -> None:
    node.authorized.write_text(node.key("hub"))
    told = []
    for given in ({}, {}, {"OUTPOST_SSH_GENERATION": "mine"}):
        node.log.unlink(missing_ok=True)
        node.run("sh", "-c", "echo generation=$OUTPOST_SSH_GENERATION", **given).wait(30)
        told += [line for line in node.log.read_text().splitlines() if line.startswith("generation=")]
    assert len(set(told)) == 3
    assert told[2] == "generation=mine"


@pytest.mark.parametrize("quoted", [r'"a b"', r'"a\" b"', r'"a\\" b"'])
def test_what_stands_in_quotes_never_swallows_the_restriction(node: Node, quoted: str) -> None:
    """As sshd reads it: a backslash matters before a quotation mark only, even after another backslash."""
    key = node.key("hub")
    assert keys.authorized(f"command={quoted} {key}", "file") == f"command={quoted},restrict,port-forwarding {key}\n"
