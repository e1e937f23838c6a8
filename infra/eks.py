"""EKS: where a cluster is, and tokens that are signed by this process's AWS role."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from core.errors import ConfigError
from core.ports import Clock
from infra import aws
from infra.kubeconfig import Cluster, Token

VARIABLE = "OUTPOST_EKS_CLUSTER"
SIGNED_FOR = timedelta(seconds=60)
RENEW_AFTER = timedelta(minutes=10)
"""EKS takes a token for 15 minutes."""


def describe(name: str) -> Cluster:
    """The cluster of that name. Raises ``ConfigError`` that names it."""
    with aws.explained(f"{VARIABLE}: {name!r} cannot be described"):
        found: dict[str, Any] = aws.client("eks").describe_cluster(name=name)["cluster"]
    url, authority = found.get("endpoint"), found.get("certificateAuthority", {}).get("data")
    if not url or not authority:
        raise ConfigError(f"{VARIABLE}: {name!r} has no endpoint yet; it is {found.get('status')}, not ACTIVE")
    return Cluster(found["name"], url, authority)


def token(cluster: str, clock: Clock) -> Token:
    """What EKS takes for the identity of this process's AWS role: a signed, short-lived request to STS.

    Raises ``ConfigError`` when the role's credentials cannot be had.
    """
    from botocore.signers import RequestSigner

    now = clock()
    with aws.explained(f"{VARIABLE}: a token for {cluster!r} cannot be signed"):
        client, session = aws.client("sts"), aws.session()
        region = client.meta.region_name
        signer = RequestSigner(
            client.meta.service_model.service_id, region, "sts", "v4", session.get_credentials(), session.events
        )
        request = {
            "method": "GET",
            "url": f"{aws.public_url('sts')}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        }
        url = signer.generate_presigned_url(
            request,
            operation_name="GetCallerIdentity",
            expires_in=int(SIGNED_FOR.total_seconds()),
            region_name=region,
        )
    return Token("k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("="), now + RENEW_AFTER)
