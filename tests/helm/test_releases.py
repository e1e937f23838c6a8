"""Releases on a real API server: installed, upgraded, rolled back and uninstalled."""

from __future__ import annotations

from tests.helm.helm import RELEASE
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


def test_a_new_configuration_of_the_api_leaves_the_separate_ssh_node_and_its_tunnels_alone(release: Release) -> None:
    release.install(SEPARATE)
    node = [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")]
    release.upgrade({**SEPARATE, "outpostConfig": "# other\n", "resources": {"requests": {"cpu": "10m"}}})
    assert [name for name in release.home.names("pods") if name.startswith(f"{RELEASE}-ssh-")] == node
