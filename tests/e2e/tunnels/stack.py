"""The suite's stack with an SSH node between hub and servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.processes import ROOT
from local.stack import hub_process
from tests.e2e.stack import OUTPOST_CONFIG, Stack
from tests.e2e.stack import __file__ as stack_file
from tests.support.sshd import SshNode

_HERE = Path(__file__).parent
_TOKEN = "what the SSH node shows"


class Tunnelled(Stack):
    """Outpost is the SSH node itself, or has one beside it."""

    def __init__(self, folder: Path, node: SshNode) -> None:
        self.node = node
        self.generation = 1
        super().__init__(folder)
        settings = {
            "TESTER_TOKEN": self.api.http.headers["authorization"].removeprefix("token "),
            "E2E_HUB_CONFIG": str(Path(stack_file).parent / "jupyterhub_config.py"),
            "SSH_FOLDER": str(node.folder),
            "SSH_PORT": str(node.port),
            "SSH_USER": node.user,
        }
        self.hub = hub_process(self.state, self.ports, _HERE / "jupyterhub_config.py", settings)

    def settings(self) -> dict[str, str]:
        """What Outpost has besides."""
        return {
            "OUTPOST_CONFIG_FILE": str(_HERE / "outpost_config.py"),
            "E2E_OUTPOST_CONFIG": str(OUTPOST_CONFIG),
            "E2E_DELAYED_SERVER": str(_HERE / "delayed_server.py"),
        }

    def start(self) -> None:
        """The node too."""
        self.node.start()
        super().start()

    def close(self) -> None:
        """The node too."""
        super().close()
        self.node.kill()


class OneContainer(Tunnelled):
    """Outpost and the SSH node live and die together."""

    def settings(self) -> dict[str, str]:
        """With a generation of its own at every start."""
        node = {"OUTPOST_SSH_GENERATION": str(self.generation), "OUTPOST_SSH_NODE_SERVICE": self.node.service}
        return super().settings() | node

    def lose_node(self) -> None:
        """Kill both."""
        self.node.kill()
        self.outpost.kill()

    def come_back(self) -> None:
        """Start both again."""
        self.generation += 1
        self.outpost = self._outpost(self.logins)
        self.node.start()
        self.start_outpost()


class SeparateNode(Tunnelled):
    """The SSH node has a life of its own, and says when it has restarted."""

    def settings(self) -> dict[str, str]:
        """With the token by which Outpost knows it."""
        return super().settings() | {"OUTPOST_SSH_NODE_TOKEN": _TOKEN}

    def lose_node(self) -> None:
        """Kill the node; Outpost goes on."""
        self.node.kill()

    def come_back(self) -> None:
        """Start the node again, and have it say so."""
        self.node.start()
        self.tell()

    def start(self) -> None:
        """The node says so the first time too."""
        super().start()
        self.tell()

    def tell(self) -> None:
        """What the node runs once when it starts."""
        env = {
            "PATH": os.environ["PATH"],
            "OUTPOST_SSH_NODE_URL": f"{self.ports.outpost_url}/ssh-node",
            "OUTPOST_SSH_NODE_TOKEN": _TOKEN,
            "OUTPOST_SSH_NODE_SERVICE": self.node.service,
        }
        subprocess.run([sys.executable, "-m", "handlers.ssh_node"], cwd=ROOT, env=env, check=True, timeout=60)
