"""A PostgreSQL with certificates and passwords, as one that is reached over a network has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pg8000.native
from certipy import Certipy

from tests.support.postgresql import Cluster, programs

DATABASE = "outpost"

_RULES = """
hostssl all certified 127.0.0.1/32 cert
hostssl all encrypted 127.0.0.1/32 trust
host    all outpost   127.0.0.1/32 trust
host    all all       127.0.0.1/32 scram-sha-256
local   all all                    scram-sha-256
"""
"""Who logs in how: by the name of a client certificate, over TLS only, the tests' superuser, all others."""


class Pair(NamedTuple):
    """A certificate and its key."""

    cert: str
    key: str


class Certificates:
    """What a server, its clients and a stranger have; made for each run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._certipy = Certipy(store_dir=str(folder))
        self.ca, self.stranger_ca = self._authority("ca"), self._authority("stranger-ca")
        self.server = self._pair("server", "ca")
        self.client = self._pair("certified", "ca")
        self.stranger = self._pair("stranger", "stranger-ca")

    def _authority(self, name: str) -> str:
        self._certipy.create_ca(name)
        return str(self._certipy.store.get_record(name)["files"]["cert"])

    def _pair(self, name: str, ca: str) -> Pair:
        files = self._certipy.create_signed_pair(name, ca, alt_names=["IP:127.0.0.1"])["files"]
        return Pair(files["cert"], files["key"])


class SecureCluster(Cluster):
    """It speaks TLS as 127.0.0.1, and by that name only."""

    def __init__(self, bin_folder: Path, folder: Path, certificates: Certificates) -> None:
        super().__init__(bin_folder, folder)
        files = {"ca": certificates.ca, "cert": certificates.server.cert, "key": certificates.server.key}
        for name, path in files.items():
            copy = self._data / f"server-{name}.pem"
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
            if self._as_user:
                shutil.chown(copy, "postgres")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write("ssl=on\n")
            settings.writelines(f"ssl_{name}_file='server-{name}.pem'\n" for name in files)
        (self._data / "pg_hba.conf").write_text(_RULES)

    def sql(self, statement: str) -> list[list[object]]:
        """Run one statement as superuser."""
        with pg8000.native.Connection("outpost", "127.0.0.1", "postgres", self.port) as connection:
            rows: list[list[object]] = connection.run(statement)
            return rows

    def user(self, name: str, password: str, options: str = "") -> None:
        """Make a user who logs in with a password, or give it another one."""
        known = self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'")
        self.sql(f"{'ALTER' if known else 'CREATE'} ROLE {name} LOGIN PASSWORD '{password}' {options}")

    def shut_down_softly(self) -> None:
        """No new connection is let in; the server ends with the last one there is."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "smart", "-W", "stop")


@contextmanager
def secure_cluster(folder: Path, certificates: Certificates) -> Iterator[SecureCluster]:
    """A server with a database for as long as the block runs."""
    bin_folder = programs()
    assert bin_folder is not None, "no PostgreSQL server is installed"
    made = SecureCluster(bin_folder, folder, certificates)
    made.start()
    try:
        made.create_database(DATABASE)
        yield made
    finally:
        made.stop("fast")
