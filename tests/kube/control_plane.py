"""A Kubernetes control plane of our own on loopback: etcd, kube-apiserver and kube-controller-manager."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.kube import audit, binaries
from tests.kube.api import Api
from tests.support.postgresql import free_port
from tests.support.waiting import eventually

ADMINS = ("admin", "outpost", "kubelet", "controllers")
"""Users who may do everything; the audit log tells them apart."""

_CONTROLLERS = "garbagecollector,namespace,serviceaccount"
"""What a deleted pod owns goes too, a deleted namespace becomes empty, and each has a ServiceAccount ``default``."""


class ControlPlane:
    """A control plane with its data in a folder; ``kill`` and ``start`` are of the API server and the controllers."""

    def __init__(self, folder: Path, more_controllers: str = "") -> None:
        """``more_controllers`` are names of controllers, with ``,`` in front of each."""
        self.folder = folder
        self._more_controllers = more_controllers
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.certificate = folder / "certs" / "apiserver.crt"
        self.audit = audit.AuditLog(folder / "audit.log")
        self.tokens = {user: secrets.token_urlsafe() for user in (*ADMINS, "nobody")}
        """What each user shows; ``nobody`` has no rights at all."""
        self._etcd_port = free_port()
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._controllers: subprocess.Popen[bytes] | None = None
        self._admin: Api | None = None

    @property
    def admin(self) -> Api:
        """The administrator's requests."""
        if self._admin is None:
            self._admin = self.api("admin")
        return self._admin

    def api(self, user: str) -> Api:
        """The requests of a user, to be closed."""
        return Api(self.url, str(self.certificate), self.tokens[user])

    def open(self) -> None:
        """Start everything, and wait until it can be used."""
        self._write_files()
        self._etcd = self._launch("etcd", *self._etcd_flags())
        self.start()
        account = "/api/v1/namespaces/default/serviceaccounts"
        eventually(lambda: self.admin.get(account)["items"], 60, "the controllers work")

    def close(self) -> None:
        """End everything."""
        if self._admin is not None:
            self._admin.close()
        self.kill()
        _end(self._etcd)

    def start(self) -> None:
        """Start them, again on their port and with what they knew, and wait until the API server is ready."""
        self._server = self._launch(str(binaries.folder() / "kube-apiserver"), *self._server_flags())
        eventually(self._is_ready, 60, "the API server is ready")
        controllers = str(binaries.folder() / "kube-controller-manager")
        self._controllers = self._launch(controllers, *self._controller_flags())

    def kill(self) -> None:
        """They are away, as if their machine was."""
        _end(self._controllers)
        _end(self._server)

    def kubeconfig(self, path: Path, user: str = "outpost", token: str = "", namespace: str = "default") -> Path:
        """Write a kubeconfig for a user, or for whoever has that token; its path."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "here", "cluster": {"server": self.url, "certificate-authority": str(self.certificate)}}
            ],
            "users": [{"name": "me", "user": {"token": token or self.tokens[user]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
            "current-context": "here",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path

    def log(self, program: str = "kube-apiserver", lines: int = 40) -> str:
        """The end of a program's log."""
        path = self.folder / f"{program}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _is_ready(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, f"the API server ended\n{self.log()}"
        try:
            return self.certificate.exists() and self.admin.get("/readyz") == "ok"
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False

    def _launch(self, program: str, *flags: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{Path(program).name}.log").open("ab") as log:
            return subprocess.Popen([program, *flags], stdout=log, stderr=log, cwd=self.folder)

    def _write_files(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "accounts.key").write_bytes(pem)
        (self.folder / "audit.yaml").write_text(audit.POLICY)
        rows = [f'{token},{user},{user},"{_group(user)}"\n' for user, token in self.tokens.items()]
        (self.folder / "tokens.csv").write_text("".join(rows))

    def _etcd_flags(self) -> list[str]:
        clients, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        return [
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        ]

    def _server_flags(self) -> list[str]:
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            "--insecure-port=0",
            f"--cert-dir={self.certificate.parent}",
            "--service-account-key-file=accounts.key",
            "--service-account-signing-key-file=accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--api-audiences=api",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
            "--authorization-mode=RBAC",
            "--token-auth-file=tokens.csv",
            "--audit-policy-file=audit.yaml",
            "--audit-log-path=audit.log",
            "--audit-log-maxsize=10000",
        ]

    def _controller_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig(self.folder / 'controllers.kubeconfig', 'controllers')}",
            f"--controllers={_CONTROLLERS}{self._more_controllers}",
            "--leader-elect=false",
            "--port=0",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'controllers'}",
        ]


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.wait()


def _group(user: str) -> str:
    return "system:masters" if user in ADMINS else "nobodies"


@contextmanager
def control_plane(folder: Path, more_controllers: str = "") -> Iterator[ControlPlane]:
    """A control plane for as long as the block runs."""
    made = ControlPlane(folder, more_controllers)
    try:
        made.open()
        yield made
    finally:
        made.close()
