"""A database that goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import config
from tests.support.outpost import OutpostProcess, servers_in
from tests.support.postgresql import Cluster
from tests.support.waiting import eventually


@pytest.fixture
def outpost(cluster: Cluster, tmp_path: Path) -> Iterator[OutpostProcess]:
    """An Outpost whose database the test switches off."""
    running = OutpostProcess(tmp_path, config(), cluster.create_database("outage"))
    try:
        yield running.start()
    finally:
        running.close()


@pytest.mark.slow
@pytest.mark.postgresql
def test_an_outage_is_a_clear_503_and_loses_nothing(outpost: OutpostProcess, cluster: Cluster) -> None:
    with outpost.hub() as hub:
        hub.start("running")
        hub.start("starting", asynchronous=True, user_options={"slow": 4}, misc={"start_timeout": 60})
        eventually(lambda: [s["status"] for s in hub.services()] == ["running", "starting"])
        cluster.stop()
        answer = hub.poll("running")
        assert answer.status_code == 503
        assert "the database does not answer" in answer.json()["detail"]
        assert hub.start("new").status_code == 503
        assert httpx.get(f"{outpost.url}/health").status_code == 503
        assert httpx.get(f"{outpost.url}/ping").status_code == 200
        cluster.start()
        eventually(lambda: httpx.get(f"{outpost.url}/health").status_code == 200)
        eventually(lambda: [s["status"] for s in hub.services()] == ["running", "running"])
        assert hub.poll("running").json()["status"] is None
        assert hub.stop("running").status_code == hub.stop("starting").status_code == 200
    assert servers_in(outpost.folder) == []
