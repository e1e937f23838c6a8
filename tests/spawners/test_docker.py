"""What only containers do, and a real single-user server in one."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.kernel import BINARY, Kernel
from tests.spawners.conftest import Hub, param
from tests.spawners.families import ACCESS, USER, DockerFamily
from tests.support.outpost import OutpostProcess
from tests.support.postgresql import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("family", [param(DockerFamily)], indirect=True, scope="session")

NOWHERE = "unix:///nowhere/docker.sock"


def test_an_engine_that_does_not_answer_ends_no_server(hub: Hub, outpost: OutpostProcess) -> None:
    server = hub.start("a")
    outpost.kill()
    outpost.start(DOCKER_HOST=NOWHERE)
    assert hub.status("a") is None
    answer = hub.calls.stop("a")
    assert answer.status_code == 419
    assert "tried again" in answer.json()["args"][0]
    assert server.answers()
    outpost.kill()
    outpost.start()
    hub.assert_only()


def test_a_program_that_is_not_in_the_image_fails_the_start_in_the_engines_words(hub: Hub) -> None:
    answer = hub.request_start("a", misc={"cmd": ["no-such-program"]})
    assert answer.status_code == 419
    assert "no-such-program" in answer.json()["args"][0]
    hub.assert_only()


def test_a_containers_last_lines_are_told_with_its_end(hub: Hub) -> None:
    hub.start("a").end(5)
    answer = hub.calls.poll_until_ended("a")
    assert answer["status"] == 5
    assert answer["logs"] == ["told to end with 5"]


def test_a_name_that_is_taken_fails_the_start_and_harms_nobody(hub: Hub) -> None:
    taken = {"name_template": "{prefix}-taken-{hub}"}
    owner = hub.start("owner", misc=taken)
    answer = hub.request_start("a", misc=taken)
    assert answer.status_code == 419
    assert "already in use" in answer.json()["args"][0]
    assert owner.answers()
    hub.assert_only("owner")


def test_containers_and_volumes_can_be_named_after_hub_and_start(hub: Hub, family: DockerFamily) -> None:
    hub.start("a", misc={"volumes": {"outpost-tests-{hub}-{username}": "/tmp/work"}})
    container = family.containers()["a"]
    assert container.name == f"jupyter-hub1-{USER}--a-0"
    (volume,) = [mount["Name"] for mount in container.attrs["Mounts"] if mount["Type"] == "volume"]
    assert volume == f"outpost-tests-hub1-{USER}"
    assert hub.calls.stop("a").status_code == 200
    family.engine.volumes.get(volume).remove()  # named volumes are the user's, and stay


SINGLEUSER = """
class OnThisNetwork(LingeringSpawner):
    async def get_ip_and_port(self):
        return "127.0.0.1", self.port
c.JupyterHubOutpost.spawner_class = OnThisNetwork
c.DockerSpawner.network_name = "host"
c.DockerSpawner.use_internal_ip = True
c.Spawner.ip = "127.0.0.1"
c.Spawner.port = {port}
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser", "--allow-root", "--ServerApp.root_dir=/tmp"]
c.Spawner.environment.update(HOME="/tmp", IPYTHONDIR="/tmp/ipython")
"""


def test_a_notebook_computes_in_a_container_and_outlives_outpost(
    hub: Hub, outpost: OutpostProcess, family: DockerFamily
) -> None:
    hub.stub.answers["/hub/api"] = hub.stub.answers["/hub/api/"] = {"version": "6.1.1"}
    hub.stub.answers["/hub/api/user"] = {"name": USER, "kind": "user", "admin": False, "groups": [], "scopes": ACCESS}
    configured = outpost.config.read_text()
    outpost.config.write_text(configured + SINGLEUSER.format(port=free_port()))
    try:
        response = hub.request_start("lab")
        assert response.status_code == 200, response.text
        url = f"{response.json()['service']}/user/{USER}/lab/"
        headers = {"Authorization": "token the-user-s"}

        def is_up() -> bool:
            try:
                return httpx.get(f"{url}api/status", headers=headers).is_success
            except httpx.TransportError:
                return False

        eventually(is_up, 60, "the notebook server answers")
        kernel = Kernel.started(url, "the-user-s")
        assert kernel.run("x = 6*7; x") == "42"
        outpost.kill()
        outpost.start()
        assert hub.status("lab") is None
        assert kernel.run("x", BINARY) == "42"
        assert httpx.get(f"{url}api/status").status_code == 403
        assert hub.calls.stop("lab").status_code == 200
    finally:
        outpost.config.write_text(configured)
    assert family.containers() == {}
