"""What sshd is told, and the command that runs it. It needs no root: who it runs as is who may log in."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ConfigError
from infra.sshd import keys

_CONFIGURATION = """\
Port {port}
{addresses}{host_keys}PidFile none
AuthorizedKeysFile {authorized_keys}
StrictModes no
AllowUsers {user}
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
LoginGraceTime 20
MaxAuthTries 3
MaxStartups 200:30:1000

AllowTcpForwarding local
PermitOpen {permit_open}
PermitListen none
GatewayPorts no
MaxSessions 0
ForceCommand /bin/false
PermitTTY no
PermitUserRC no
PermitTunnel no
X11Forwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
ClientAliveInterval 30
ClientAliveCountMax 3
UseDNS no
PrintMotd no
"""
"""``MaxSessions 0``: no shell, command or subsystem, for nobody; forwarding needs no session.
``StrictModes no``: a mounted folder may belong to anybody."""


@dataclass(frozen=True)
class Node:
    """Where an SSH node finds and keeps what it needs."""

    authorized_keys: Path = Path("/etc/outpost/ssh/authorized_keys")
    """``OUTPOST_SSH_AUTHORIZED_KEYS``: the hubs' public keys."""
    host_keys: Path = Path("/etc/outpost/ssh-host-keys")
    """``OUTPOST_SSH_HOST_KEYS``: a folder with ``ssh_host_*_key`` files; without any, a new key is made."""
    folder: Path = Path("/run/outpost")
    """``OUTPOST_SSH_FOLDER``: where this node may write."""
    port: int = 2222
    """``OUTPOST_SSH_PORT``."""
    permit_open: str = "any"
    """``OUTPOST_SSH_PERMIT_OPEN``: what may be connected to, as in sshd's ``PermitOpen``: ``*:8888 10.0.0.1:*``."""
    addresses: tuple[str, ...] = field(default=())
    """Those to listen on; none are all."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Node:
        """Raises ``ConfigError`` that names the variable."""
        default = cls()
        port = environment.get("OUTPOST_SSH_PORT") or str(default.port)
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError("OUTPOST_SSH_PORT: must be a port, from 1 to 65535")
        return cls(
            authorized_keys=Path(environment.get("OUTPOST_SSH_AUTHORIZED_KEYS") or default.authorized_keys),
            host_keys=Path(environment.get("OUTPOST_SSH_HOST_KEYS") or default.host_keys),
            folder=Path(environment.get("OUTPOST_SSH_FOLDER") or default.folder),
            port=int(port),
            permit_open=" ".join((environment.get("OUTPOST_SSH_PERMIT_OPEN") or default.permit_open).split()),
        )

    def prepare(self) -> list[str]:
        """The command of an sshd in the foreground, its files written and checked. Raises ``ConfigError``."""
        program, user = _sshd(), _user()
        self.let_in(self.given_keys())
        configuration = self.folder / "sshd_config"
        try:
            configuration.write_text(self.configuration(self._trusted, user))
        except OSError as error:
            raise self._cannot_write(error) from None
        command = [program, "-D", "-e", "-f", str(configuration)]
        told = subprocess.run([*command, "-t"], text=True, capture_output=True)  # noqa: S603
        if told.returncode:
            raise ConfigError(f"sshd refuses its configuration: {' '.join(told.stderr.split())}")
        return command

    def let_in(self, given: str) -> None:
        """Let these keys in, and no others. sshd reads its copy of them at each login.

        Raises ``ConfigError``; the keys from before stay then.
        """
        authorized = keys.authorized(given, str(self.authorized_keys))
        new = self._trusted.with_suffix(".new")
        try:
            new.write_text(authorized)
            new.replace(self._trusted)  # a login meets the old ones or the new ones, never half of them
        except OSError as error:
            raise self._cannot_write(error) from None

    @property
    def _trusted(self) -> Path:
        return self.folder / "authorized_keys"

    def _cannot_write(self, error: OSError) -> ConfigError:
        return ConfigError(f"OUTPOST_SSH_FOLDER: {self.folder} cannot be written: {error.strerror}")

    def given_keys(self) -> str:
        """The hubs' keys as the operator wrote them. Raises ``ConfigError``."""
        source = f"OUTPOST_SSH_AUTHORIZED_KEYS: {self.authorized_keys}"
        try:
            return self.authorized_keys.read_text()
        except OSError as error:
            raise ConfigError(f"{source}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{source}: is no text file") from None

    def configuration(self, trusted: Path, user: str) -> str:
        """The text of an ``sshd_config`` that lets ``user`` in with the keys of the file ``trusted``."""
        host_keys = keys.host_keys(self.host_keys, self.folder / "host-keys")
        return _CONFIGURATION.format(
            port=self.port,
            addresses="".join(f"ListenAddress {address}\n" for address in self.addresses),
            host_keys="".join(f"HostKey {key}\n" for key in host_keys),
            authorized_keys=trusted,
            user=user,
            permit_open=self.permit_open,
        )


def _user() -> str:
    """sshd lets nobody in but who it runs as, and knows users by name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise ConfigError(
            f"user {os.getuid()} has no name here: the SSH node must run as a user that has one"
        ) from None


def _sshd() -> str:
    """sshd wants to be called by its whole path."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None or shutil.which("ssh-keygen") is None:
        raise ConfigError("sshd or ssh-keygen is not installed: an SSH node needs OpenSSH's server and client")
    return found
