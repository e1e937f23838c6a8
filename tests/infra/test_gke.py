"""Access to a GKE cluster by this process's Google account, with Google's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.errors import ConfigError
from infra.settings import read_settings
from tests.infra.conftest import Reach
from tests.support import google as google_support
from tests.support.clock import Clock, RunningClock
from tests.support.google import ACCOUNT, CLUSTER, Google

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("google")


@pytest.fixture
def google(environ: MutableMapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """A project with a cluster, which the environment names."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with google_support.server() as running:
        environ["OUTPOST_GKE_CLUSTER"] = CLUSTER
        environ["OUTPOST_GKE_ENDPOINT_URL"] = running.url
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(running.key_file(tmp_path))
        yield running


@pytest.fixture
def clock() -> Clock:
    """Google's code dates tokens by the real time."""
    return RunningClock()


def token_in(environ: MutableMapping[str, str]) -> str:
    """What a client would send."""
    return str(json.loads(Path(environ["KUBECONFIG"]).read_text())["users"][0]["user"]["token"])


async def test_kubernetes_clients_find_the_cluster_with_a_token_of_this_account(
    reach: Reach, google: Google, environ: MutableMapping[str, str]
) -> None:
    from kubernetes_asyncio import client, config

    reach()
    configuration = client.Configuration()
    await config.load_kube_config(environ["KUBECONFIG"], client_configuration=configuration)
    assert configuration.host == "https://192.0.2.1"
    assert google.kubernetes_user(token_in(environ)) == ACCOUNT, "role bindings name it by its e-mail address"
    assert configuration.api_key["BearerToken"] == f"Bearer google token {google.tokens}"
    assert Path(str(configuration.ssl_ca_cert)).read_text() == "CA"


def test_the_token_is_renewed_before_its_hour_ends(
    reach: Reach, google: Google, clock: Clock, environ: MutableMapping[str, str]
) -> None:
    access = reach()
    first = token_in(environ)
    clock.forward(minutes=55)
    access.refresh()
    assert token_in(environ) == first
    clock.forward(minutes=2)
    access.refresh()
    assert token_in(environ) == f"google token {google.tokens}" != first
    assert google.seen.count(f"/v1/{CLUSTER}") == 1, "the cluster is looked up once"


def test_on_googles_machines_the_token_is_the_machines(google: Google, environ: MutableMapping[str, str]) -> None:
    """Its server is found by variables that Google's code reads when it is imported."""
    host = urlsplit(google.url).netloc
    here = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "HOME": tempfile.gettempdir()}
    env = {**environ, **here, "TMPDIR": tempfile.gettempdir()}
    del env["GOOGLE_APPLICATION_CREDENTIALS"]
    code = """
import os
from infra.cluster_access import reach_cluster
from infra.settings import read_settings
from infra.wiring import utc_now
reach_cluster(read_settings(), os.environ, utc_now)
print(open(os.environ["KUBECONFIG"]).read())
"""
    ran = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    token = json.loads(ran.stdout)["users"][0]["user"]["token"]
    assert token == f"google token {google.tokens}"
    assert google.kubernetes_user(token) == ACCOUNT
    assert "/token" not in google.seen


@pytest.mark.parametrize("name", ["hpc", "projects/p/clusters/c", "projects/p/locations/l/clusters/"])
def test_a_name_of_another_form_is_told(google: Google, environ: MutableMapping[str, str], name: str) -> None:
    environ["OUTPOST_GKE_CLUSTER"] = name
    with pytest.raises(ConfigError, match=r"^OUTPOST_GKE_CLUSTER: must be projects/P/locations/L/clusters/C$"):
        read_settings()


def test_two_clusters_are_one_too_many(google: Google, environ: MutableMapping[str, str]) -> None:
    environ["OUTPOST_EKS_CLUSTER"] = "hpc"
    with pytest.raises(ConfigError, match=r"^OUTPOST_EKS_CLUSTER, OUTPOST_GKE_CLUSTER: both are set"):
        read_settings()


def test_a_cluster_that_may_not_be_seen_is_named(reach: Reach, google: Google) -> None:
    google.refuses = 403, {"error": {"status": "PERMISSION_DENIED", "message": "google token 1 is not good enough"}}
    with pytest.raises(ConfigError) as caught:
        reach()
    assert str(caught.value) == f"OUTPOST_GKE_CLUSTER: {CLUSTER!r} cannot be described: HTTP 403 PERMISSION_DENIED"


def test_a_cluster_that_is_not_there_yet_is_named(reach: Reach, google: Google) -> None:
    google.cluster = {"status": "PROVISIONING"}
    with pytest.raises(ConfigError) as caught:
        reach()
    assert str(caught.value) == f"OUTPOST_GKE_CLUSTER: {CLUSTER!r} has no endpoint; it is PROVISIONING"


def test_missing_credentials_are_told(reach: Reach, google: Google, environ: MutableMapping[str, str]) -> None:
    environ["GOOGLE_APPLICATION_CREDENTIALS"] += ".missing"
    with pytest.raises(ConfigError, match=r"^OUTPOST_GKE_CLUSTER: there are no Google credentials: .*\.missing"):
        reach()
    assert "KUBECONFIG" not in os.environ


def test_google_that_does_not_answer_is_told(reach: Reach, environ: MutableMapping[str, str], tmp_path: Path) -> None:
    account = json.loads(Path(environ["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    with google_support.server() as gone:
        account["token_uri"] = f"{gone.url}/token"
    Path(environ["GOOGLE_APPLICATION_CREDENTIALS"]).write_text(json.dumps(account))
    with pytest.raises(ConfigError, match=r"^OUTPOST_GKE_CLUSTER: .* cannot be described: .*refused"):
        reach()


def test_without_googles_library_the_way_out_is_told(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.exceptions", None)
    with pytest.raises(ConfigError, match=r"^OUTPOST_GKE_CLUSTER: google-auth is not installed; .*outpost\[gcp\]$"):
        reach()


def test_a_token_is_good_for_minutes_when_it_is_handed_out(reach: Reach, clock: Clock) -> None:
    access = reach()
    assert access._renew_at - clock() > timedelta(minutes=50)
