"""Access to an EKS cluster from a function: a kubeconfig whose token is signed by the function's role."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import MutableMapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.ports import Clock
from infra import aws

VARIABLE = "OUTPOST_EKS_CLUSTER"
SIGNED_FOR = timedelta(seconds=60)
RENEW_AFTER = timedelta(minutes=10)
"""EKS takes a token for 15 minutes."""


class EksAccess:
    """Keeps ``KUBECONFIG`` pointing to a file with a fresh token, where ``OUTPOST_EKS_CLUSTER`` names a cluster."""

    def __init__(self, environ: MutableMapping[str, str], clock: Clock) -> None:
        """Look the cluster up. Raises ``ConfigError`` that names it when that fails."""
        self._name = environ.get(VARIABLE, "")
        self._clock = clock
        self._renewed_at: datetime | None = None
        if not self._name:
            return
        self._cluster = _describe(self._name)
        self._path = Path(tempfile.gettempdir()) / f"outpost-kubeconfig-{self._name}"
        environ["KUBECONFIG"] = str(self._path)
        self.refresh()

    def refresh(self) -> None:
        """Renew the token in time."""
        now = self._clock()
        if not self._name or (self._renewed_at is not None and now - self._renewed_at < RENEW_AFTER):
            return
        content = json.dumps(_kubeconfig(self._cluster, token(self._name)))  # JSON is YAML
        new = self._path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(content)
        new.replace(self._path)
        self._renewed_at = now


def token(cluster: str) -> str:
    """What EKS takes for the identity of this process's AWS role: a signed, short-lived request to STS."""
    from botocore.signers import RequestSigner

    client = aws.client("sts")
    session = aws.session()
    signer = RequestSigner(
        client.meta.service_model.service_id, client.meta.region_name, "sts", "v4", session.get_credentials(),
        session.events,
    )  # fmt: skip
    request = {
        "method": "GET",
        "url": f"https://sts.{client.meta.region_name}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(
        request,
        operation_name="GetCallerIdentity",
        expires_in=int(SIGNED_FOR.total_seconds()),
        region_name=client.meta.region_name,
    )
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _describe(name: str) -> dict[str, Any]:
    with aws.explained(f"{VARIABLE}: {name!r} cannot be described"):
        cluster: dict[str, Any] = aws.client("eks").describe_cluster(name=name)["cluster"]
    if not cluster.get("endpoint") or not cluster.get("certificateAuthority", {}).get("data"):
        raise ConfigError(f"{VARIABLE}: {name!r} has no endpoint yet; it is {cluster.get('status')}, not ACTIVE")
    return cluster


def _kubeconfig(cluster: dict[str, Any], bearer: str) -> dict[str, Any]:
    name = cluster["name"]
    authority = {"certificate-authority-data": cluster["certificateAuthority"]["data"]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": cluster["endpoint"], **authority}}],
        "users": [{"name": "outpost", "user": {"token": bearer}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "outpost"}}],
        "current-context": name,
    }
