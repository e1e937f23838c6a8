"""Releases on a real API server: installed, upgraded, rolled back and uninstalled."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.helm.helm import RELEASE, Refused
from tests.helm.releases import MADE, SEPARATE, Release
from tests.support.waiting import eventually


def test_what_the_chart_has_made_once_outlives_upgrades_rollbacks_and_uninstallation(release: Release) -> None:
    said = release.install(SEPARATE)
    assert f"get secret {RELEASE}-users" in said
    made = release.secrets()
    assert set(made) == MADE
    claim = release.home.find("persistentvolumeclaims", f"{RELEASE}-data")
    assert claim is not None

    release.upgrade({**SEPARATE, "outpostConfig": "c.JupyterHubOutpost.send_events = False\n"})
    assert release.secrets() == made
    release.run("rollback", "1")
    assert release.secrets() == made

    release.run("uninstall")
    assert release.secrets() == made
    eventually(lambda: release.home.names("pods") == [], 60, "the pods are gone")
    assert release.home.names("services") == []
    assert [item["metadata"]["uid"] for item in release.home.all("persistentvolumeclaims")] == [
        claim["metadata"]["uid"]
    ]

    release.install(SEPARATE)
    assert release.secrets() == made


def test_a_rollback_brings_the_configuration_back(release: Release) -> None:
    release.install({"outpostConfig": "# first\n"})
    first = release.template()
    release.upgrade({"outpostConfig": "# second\n"})
    assert release.config() == "# second\n"
    assert release.template() != first
    release.run("rollback", "1")
    assert release.config() == "# first\n"
    assert release.template() == first


def test_an_upgrade_that_changes_nothing_leaves_the_pods_alone(release: Release) -> None:
    release.secret("outpost-users", usernames="hub", passwords="first")
    values = {"outpostUsers": "outpost-users", **SEPARATE}
    release.install(values)
    before = sorted(release.home.names("pods"))
    release.upgrade(values)
    assert sorted(release.home.names("pods")) == before


def test_an_upgrade_starts_new_pods_when_a_secret_that_it_names_has_changed(release: Release) -> None:
    release.secret("outpost-users", usernames="hub", passwords="first")
    values = {"outpostUsers": "outpost-users", **SEPARATE}
    release.install(values)
    before, node = release.template(), release.deployment(f"{RELEASE}-ssh")["spec"]
    release.secret("outpost-users", passwords="second")
    release.upgrade(values)
    assert release.template() != before
    assert release.deployment(f"{RELEASE}-ssh")["spec"] == node


def test_a_secret_of_the_chart_that_was_deleted_is_made_anew_for_the_pods_that_read_it(release: Release) -> None:
    def marks() -> list[str]:
        templates = [release.deployment(name)["spec"]["template"] for name in (RELEASE, f"{RELEASE}-ssh")]
        return [template["metadata"]["annotations"]["checksum/made"] for template in templates]

    def without(name: str) -> None:
        release.home.api.delete(release.home.path("secrets", f"{RELEASE}-{name}"))

    release.install(SEPARATE)
    password, first = release.secrets()[f"{RELEASE}-users"], marks()
    without("users")
    release.upgrade(SEPARATE)
    second = marks()
    assert release.secrets()[f"{RELEASE}-users"] != password
    assert (second[0] != first[0], second[1] == first[1]) == (True, True)

    without("ssh-node")
    release.upgrade(SEPARATE)
    third = marks()
    assert (third[0] != second[0], third[1] != second[1]) == (True, True)
    with pytest.raises(Refused, match="immutable"):
        release.run("rollback", "1")


@pytest.mark.parametrize("annotated", [True, False], ids=["with its annotations", "bare"])
def test_a_secret_of_the_chart_that_somebody_else_has_made_anew_is_kept_and_read(
    release: Release, annotated: bool
) -> None:
    def mark() -> str:
        text: str = release.template()["metadata"]["annotations"]["checksum/made"]
        return text

    release.install({})
    there, first = release.home.find("secrets", f"{RELEASE}-users"), mark()
    assert there is not None
    release.home.api.delete(release.home.path("secrets", f"{RELEASE}-users"))
    annotations = there["metadata"]["annotations"] if annotated else {}
    kept = {"name": f"{RELEASE}-users", "labels": there["metadata"]["labels"], "annotations": annotations}
    mine = {"usernames": "jupyterhub", "passwords": "mine"}
    release.home.api.create(release.home.path("secrets"), metadata=kept, stringData=mine)
    release.upgrade({})
    second = mark()
    assert second != first
    release.upgrade({})
    assert mark() == second
    assert release.secrets()[f"{RELEASE}-users"]["passwords"] == b64encode(b"mine").decode()


def test_a_new_configuration_of_the_api_leaves_the_separate_ssh_node_and_its_tunnels_alone(release: Release) -> None:
    release.install(SEPARATE)
    node = [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")]
    release.upgrade({**SEPARATE, "outpostConfig": "# other\n", "resources": {"requests": {"cpu": "10m"}}})
    assert [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")] == node
