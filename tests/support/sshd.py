"""A real SSH node on loopback: Debian's sshd as an ordinary user, for forwarding only."""

from __future__ import annotations

import getpass
import os
import pwd
import subprocess
from pathlib import Path

import psutil

from infra.sshd import keys
from infra.sshd.node import Node
from local.processes import HOST, free_ports
from tests.support.waiting import eventually

_PROGRAM = "/usr/sbin/sshd"


class SshNode:
    """Where hubs log in; one that runs as root has the user ``daemon``."""

    def __init__(self, folder: Path) -> None:
        """``folder`` must be readable by everybody, and its name short: a control socket is in it."""
        self.folder = folder
        self.port = free_ports(1)[0]
        self.user = "daemon" if os.geteuid() == 0 else getpass.getuser()
        self.client_key = folder / "client_key"
        self.log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.client_key)], check=True)
        trusted, key = folder / "authorized_keys", (folder / "client_key.pub").read_text()
        trusted.write_text(keys.authorized(key, str(trusted)))
        node = Node(folder=folder, host_keys=folder / "none", port=self.port, addresses=(HOST,))
        (folder / "sshd_config").write_text(node.configuration(trusted, self.user))
        if os.geteuid() == 0:
            for made in (folder / "host-keys", *(folder / "host-keys").iterdir()):
                os.chown(made, pwd.getpwnam(self.user).pw_uid, -1)

    @property
    def service(self) -> str:
        """``HOST:PORT`` of it."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it says what it is."""
        account = pwd.getpwnam(self.user)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log.open("ab") as log:
            command = [_PROGRAM, "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        from handlers.ssh_node import greets

        eventually(lambda: greets(self.service), 20, f"sshd answers\n{self.log.read_text()}")

    def kill(self) -> None:
        """``kill -9`` of it and of all its connections, as when its container dies."""
        if self._process is None:
            return
        parent = psutil.Process(self._process.pid)
        for process in [parent, *parent.children(recursive=True)]:
            process.kill()
        self._process.wait()
        self._process = None
