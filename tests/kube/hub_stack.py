"""A real hub whose servers are pods, started by an Outpost."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.processes import end_marked
from local.stack import HUB_NAME, Ports, answers, hub_process
from local.state import State
from tests.e2e.hub import Hub, Server
from tests.kube.api import Namespace, Object
from tests.support.outpost import ROOT, OutpostProcess
from tests.support.waiting import eventually

CONFIG = """
import os, sys
c.JupyterHubOutpost.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.image = "lab:1"
c.KubeSpawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.KubeSpawner.args = ["--allow-root"]
c.KubeSpawner.delete_grace_period = 5
c.KubeSpawner.extra_pod_config = {{"restartPolicy": "Never"}}
c.JupyterHubOutpost.flavors_update_token = os.environ["DEMO_FLAVORS_TOKEN"]
c.Spawner.environment = {{"OUTPOST_LOCAL_MARK": os.environ["OUTPOST_LOCAL_MARK"]}}
"""


class HubStack:
    """A hub and its Outpost, with all they store in one folder."""

    def __init__(self, folder: Path, namespace: Namespace, kubeconfig: Path) -> None:
        self.namespace = namespace
        self.state = State(folder / "hub")
        self._ports = Ports.pick()
        token = secrets.token_hex(16)
        outpost_folder = folder / "outpost"
        outpost_folder.mkdir()
        env = {
            "KUBECONFIG": str(kubeconfig),
            "OUTPOST_LOCAL_MARK": self.state.mark,
            "DEMO_FLAVORS_TOKEN": self.state.secrets.flavors_token,
            "usernames": HUB_NAME,
            "passwords": self.state.secrets.outpost_password,
        }
        self.outpost = OutpostProcess(outpost_folder, CONFIG.format(namespace=namespace.name), env)
        config = ROOT / "tests" / "e2e" / "jupyterhub_config.py"
        hub_env = {"TESTER_TOKEN": token, "OUTPOST_URL": self.outpost.url}
        self.hub = hub_process(self.state, self._ports, config, hub_env)
        self.api = Hub(self._ports.public_url, token)
        self._users = 0

    def start(self) -> None:
        """Start both, and wait until they answer."""
        self.outpost.start()
        self.hub.start()
        eventually(lambda: answers(f"{self._ports.public_url}/hub/health"), 60, "the hub answers")

    def close(self) -> None:
        """End all that was started here."""
        self.api.close()
        self.hub.kill()
        self.outpost.close()
        end_marked(self.state.mark)

    def new_server(self, name: str) -> Server:
        """A server of a new user, not started yet."""
        self._users += 1
        user = f"user{self._users}"
        self.api.new_user(user)
        return Server(self.api, user, name, self.state.mark)

    def pod_of(self, server: Server) -> Object | None:
        """The server's pod, or None: KubeSpawner notes the user on it."""
        for pod in self.namespace.all("pods"):
            if pod["metadata"]["annotations"].get("hub.jupyter.org/username") == server.user:
                return pod
        return None

    def logs(self) -> list[tuple[str, str]]:
        """The ends of the logs, for whoever reads of a failure."""
        return [("hub", self.hub.log_tail(60)), ("outpost", self.outpost.tail())]


@contextmanager
def hub_stack(folder: Path, namespace: Namespace, kubeconfig: Path) -> Iterator[HubStack]:
    """A hub and its Outpost for as long as the block runs."""
    made = HubStack(folder, namespace, kubeconfig)
    try:
        made.start()
        yield made
    finally:
        made.close()
