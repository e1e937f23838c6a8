"""Releases with one database or another on a real API server, and the migration of PostgreSQL."""

from __future__ import annotations

import httpx
import pytest

from tests.helm.helm import RELEASE, Refused
from tests.helm.releases import KEY, MIGRATE, POSTGRESQL, SEPARATE, Release
from tests.kube.scenarios import Scenario


def test_a_migration_that_fails_changes_nothing(release: Release) -> None:
    release.install(POSTGRESQL)
    before = release.deployment()["spec"]
    release.kubelet.script(release.home.name, Scenario(exit_code=1), MIGRATE)
    with pytest.raises(Refused, match=r"(?s)pre-upgrade.*outpost-migrate.*(DeadlineExceeded|Job Failed)"):
        release.upgrade({**POSTGRESQL, "image": "outpost:next", "migration": {"activeDeadlineSeconds": 5}})
    assert release.deployment()["spec"] == before

    release.kubelet.script(release.home.name, Scenario(exit_code=0), MIGRATE)
    release.upgrade({**POSTGRESQL, "image": "outpost:next"})
    assert release.template()["spec"]["containers"][0]["image"] == "outpost:next"


def test_the_first_installation_migrates_before_anything_else_is_made(release: Release) -> None:
    release.kubelet.script(release.home.name, Scenario(exit_code=1), MIGRATE)
    with pytest.raises(Refused, match=r"(?s)pre-install.*outpost-migrate.*(DeadlineExceeded|Job Failed)"):
        release.install({**POSTGRESQL, "migration": {"activeDeadlineSeconds": 5}})
    with pytest.raises(httpx.HTTPStatusError, match="not found"):
        release.deployment()


def test_a_database_that_a_secret_names_is_seen(release: Release) -> None:
    release.secret("my-db-secret", SQL_TYPE="postgresql", SQL_HOST="db")
    release.install({"extraEnvVarsSecrets": ["my-db-secret"], "replicas": 2})
    assert release.home.names("persistentvolumeclaims") == []
    (budget,) = release.home.api.get(f"/apis/policy/v1beta1/namespaces/{release.home.name}/poddisruptionbudgets")[
        "items"
    ]
    assert budget["spec"]["maxUnavailable"] == 1

    release.secret("my-db-secret", SQL_TYPE="sqlite")
    with pytest.raises(Refused, match="replicas: 2 pods cannot share a SQLite database"):
        release.upgrade({"extraEnvVarsSecrets": ["my-db-secret"], "replicas": 2})


def test_a_release_grows_from_sqlite_to_postgresql_and_to_an_ssh_node_of_its_own(release: Release) -> None:
    def strategy() -> str:
        kind: str = release.deployment()["spec"]["strategy"]["type"]
        return kind

    release.install({})
    key = release.secrets()[f"{RELEASE}-crypt"]
    release.upgrade(POSTGRESQL)
    assert (strategy(), release.secrets()[f"{RELEASE}-crypt"]) == ("RollingUpdate", key)
    assert release.home.names("persistentvolumeclaims") == [f"{RELEASE}-data"]
    release.upgrade({**POSTGRESQL, "sshPublicKeys": [KEY]})
    host_key = release.secrets()[f"{RELEASE}-ssh-host-keys"]
    assert strategy() == "Recreate"
    release.upgrade({**POSTGRESQL, **SEPARATE, "replicas": 2})
    assert (strategy(), release.secrets()[f"{RELEASE}-ssh-host-keys"]) == ("RollingUpdate", host_key)
    service = release.home.find("services", f"{RELEASE}-ssh")
    assert service is not None
    assert service["spec"]["selector"] == release.deployment(f"{RELEASE}-ssh")["spec"]["selector"]["matchLabels"]
