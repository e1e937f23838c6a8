"""Pods of an Outpost that is functions: frozen between events, or with a new process for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from local.aws.function import Throttled
from local.processes import HOST
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import CONFIG, assert_nothing_is_left, pod_name
from tests.support.functions import OutpostFunctions
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Where the functions' queue is."""
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(params=["frozen", "new"])
def functions(
    request: pytest.FixtureRequest, aws: str, namespace: Namespace, kubelet: Kubelet, kubeconfig: Path, tmp_path: Path
) -> Iterator[OutpostFunctions]:
    """Deployed functions, whose processes are frozen between events, or new for every event."""
    config = CONFIG.format(namespace=namespace.name, more="")
    env = {"KUBECONFIG": str(kubeconfig)}
    made = OutpostFunctions(tmp_path, config, env, aws=aws, cold=request.param == "new")
    made.migrate()
    made.start()
    yield made
    made.close()


def has_recovered(functions: OutpostFunctions) -> bool:
    """Once more, unless it is under way."""
    try:
        return not functions.invoke("recover", {}).error
    except Throttled:
        return False


def test_functions_start_poll_and_stop_pods(
    functions: OutpostFunctions, kubernetes: ControlPlane, namespace: Namespace, hub_stub: RecordingHub
) -> None:
    with functions.hub() as hub:
        assert hub.start("lab", asynchronous=True, env=hub_stub.env()).status_code == 202
        assert hub.start("gone", asynchronous=True, env=hub_stub.env()).status_code == 202
        eventually(lambda: {service["status"] for service in hub.services()} == {"running"}, 120, "both run")
        gone, lab = sorted(namespace.names("pods"))

        namespace.delete_pod(gone, 0)
        assert hub.poll("gone").json()["status"] is not None
        functions.close_schedules()  # recover looks for pods without a row, now and then
        eventually(lambda: has_recovered(functions), 60, "no recover is under way")
        mark = kubernetes.audit.mark()
        assert hub.poll("lab").json()["status"] is None
        asked = [(request.verb, request.name) for request in kubernetes.audit.requests(mark, user="outpost")]
        assert asked == [("get", lab)]

        assert hub.stop("gone").status_code == 200
        assert pod_name(namespace) == lab
        assert hub.stop("lab", asynchronous=True).status_code == 202
        eventually(lambda: hub.services() == [], 120, "the service is gone")
        assert_nothing_is_left(namespace, hub.services())
