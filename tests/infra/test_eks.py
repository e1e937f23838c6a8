"""Access to an EKS cluster by the role of this process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import ConfigError
from infra import aws as aws_clients
from infra.cluster_access import reach_cluster
from infra.eks import token
from infra.settings import read_settings
from tests.infra.conftest import Reach
from tests.support.aws import REGION, Aws, calls_of, forget_clients
from tests.support.clock import Clock


@pytest.fixture
def environ(
    environ: MutableMapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MutableMapping[str, str]:
    """With a folder for temporary files of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environ["OUTPOST_EKS_CLUSTER"] = "hpc"
    return environ


@pytest.fixture
def cluster(aws: Aws) -> str:
    """A cluster's endpoint."""
    made = aws.client("eks").create_cluster(
        name="hpc", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": ["subnet-1"]}
    )
    return str(made["cluster"]["endpoint"])


def bearer(cluster: str) -> str:
    """A new token."""
    return token(cluster, Clock()).value


def signed_url(value: str) -> str:
    """What is in a token."""
    kind, _, encoded = value.partition(".")
    assert kind == "k8s-aws-v1"
    assert "=" not in encoded
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()


def test_kubeconfig_points_to_a_file_that_only_outpost_reads(
    cluster: str, reach: Reach, environ: MutableMapping[str, str]
) -> None:
    reach()
    path = Path(environ["KUBECONFIG"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = json.loads(path.read_text())
    (found,) = config["clusters"]
    assert found["cluster"]["server"] == cluster
    assert base64.b64decode(found["cluster"]["certificate-authority-data"])
    (context,) = config["contexts"]
    assert (config["current-context"], context["context"]) == (context["name"], {"cluster": "hpc", "user": "outpost"})
    assert signed_url(config["users"][0]["user"]["token"])


async def test_kubernetes_clients_can_read_the_file(
    cluster: str, reach: Reach, environ: MutableMapping[str, str]
) -> None:
    from kubernetes_asyncio import client, config

    reach()
    configuration = client.Configuration()
    await config.load_kube_config(environ["KUBECONFIG"], client_configuration=configuration)
    assert configuration.host == cluster.rstrip("/")
    assert configuration.api_key["BearerToken"].startswith("Bearer k8s-aws-v1.")


def test_a_token_is_a_signed_request_to_sts_for_this_cluster_only(aws: Aws) -> None:
    url = urlsplit(signed_url(bearer("hpc")))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("https", f"sts.{REGION}.amazonaws.com", "/")
    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Credential"].split("/")[2:] == [REGION, "sts", "aws4_request"]
    assert query["X-Amz-Expires"] == "60"
    assert signed_url(bearer("hpc")) != signed_url(bearer("another cluster"))


def signature(url: str, cluster: str, secret_key: str, region: str = REGION) -> str:
    """The signature that STS expects of that request (AWS Signature Version 4)."""
    parts = urlsplit(url)
    query = "&".join(sorted(part for part in parts.query.split("&") if not part.startswith("X-Amz-Signature=")))
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{query}\nhost:{parts.netloc}\nx-k8s-aws-id:{cluster}\n\nhost;x-k8s-aws-id\n{empty}"
    moment = parse_qs(parts.query)["X-Amz-Date"][0]
    scope = [moment[:8], region, "sts", "aws4_request"]
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for part in (*scope, "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), hashed])):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def test_sts_would_know_the_signature(aws: Aws) -> None:
    url = signed_url(bearer("hpc"))
    (signed,) = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
    assert signed == signature(url, "hpc", aws.env["AWS_SECRET_ACCESS_KEY"])
    assert signed != signature(url, "another cluster", aws.env["AWS_SECRET_ACCESS_KEY"])


def test_the_token_is_renewed_after_ten_minutes_and_not_before(
    cluster: str, clock: Clock, reach: Reach, environ: MutableMapping[str, str]
) -> None:
    access = reach()
    path = Path(environ["KUBECONFIG"])
    first = path.stat().st_ino
    calls = calls_of("eks")
    clock.forward(minutes=9, seconds=59)
    access.refresh()
    assert path.stat().st_ino == first
    clock.forward(seconds=1)
    access.refresh()
    assert path.stat().st_ino != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["current-context"] == "hpc"
    assert calls == [], "the cluster is looked up once"


def test_a_cluster_that_does_not_exist_is_named(aws: Aws, reach: Reach, environ: MutableMapping[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        reach()
    assert str(caught.value) == "OUTPOST_EKS_CLUSTER: 'hpc' cannot be described: ResourceNotFoundException"
    assert "KUBECONFIG" not in environ


def test_without_a_cluster_nothing_is_asked_or_written(
    aws: Aws, clock: Clock, environ: MutableMapping[str, str], tmp_path: Path
) -> None:
    del environ["OUTPOST_EKS_CLUSTER"]
    before, files = dict(environ), sorted(tmp_path.iterdir())
    calls = calls_of("eks")
    assert reach_cluster(read_settings(), environ, clock) is None
    assert (dict(environ), sorted(tmp_path.iterdir()), calls) == (before, files, [])


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_the_signed_request_is_for_the_partitions_own_sts(
    aws: Aws, environ: MutableMapping[str, str], region: str, host: str
) -> None:
    environ["AWS_DEFAULT_REGION"] = region
    forget_clients()
    url = signed_url(bearer("hpc"))
    assert urlsplit(url).netloc == host
    (signed,) = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
    assert signed == signature(url, "hpc", aws.env["AWS_SECRET_ACCESS_KEY"], region)


def test_a_role_without_credentials_is_told_at_start_up(
    cluster: str, reach: Reach, environ: MutableMapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_clients.session(), "get_credentials", lambda: None)
    with pytest.raises(ConfigError) as caught:
        reach()
    assert str(caught.value) == "OUTPOST_EKS_CLUSTER: a token for 'hpc' cannot be signed: Unable to locate credentials"
