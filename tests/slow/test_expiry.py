"""Run times end once, however many processes look."""

from __future__ import annotations

import pytest

from tests.slow.conftest import Make
from tests.support.outpost import servers_in
from tests.support.waiting import eventually

SERVICES = 12
BRIEF = """
import os, pathlib
c.JupyterHubOutpost.flavors = {"brief": {"runtime": {"seconds": 1}}}
def stopped(spawner):
    with (pathlib.Path(os.environ["TMPDIR"]) / f"stops-of-{spawner.name}").open("a") as notes:
        notes.write("stopped\\n")
c.Spawner.post_stop_hook = stopped
"""


@pytest.mark.slow
def test_replicas_that_expire_at_once_stop_each_server_once(make: Make) -> None:
    outposts = [make(BRIEF) for _ in range(3)]
    for outpost in outposts:
        outpost.launch(JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER="0.05")
    for outpost in outposts:
        outpost.wait()
    folder = outposts[0].folder
    with outposts[0].hub() as hub:
        for number in range(SERVICES):
            assert hub.start(f"s{number}", flavor="brief").status_code == 200
        eventually(lambda: hub.services() == [], 30)
    assert servers_in(folder) == []
    for number in range(SERVICES):
        assert (folder / f"stops-of-s{number}").read_text() == "stopped\n"
    assert "Traceback" not in outposts[0].log.read_text()
