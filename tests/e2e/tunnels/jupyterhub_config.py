"""The suite's hub, with a tunnel for every server; ``user_options.delayed``: the server sets its own up."""

import asyncio
import os
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from outpostspawner import OutpostSpawner

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(str(Path(os.environ["E2E_HUB_CONFIG"])))  # type: ignore[name-defined]  # noqa: F821  # as above


class LoopbackSpawner(OutpostSpawner):  # type: ignore[misc]  # JupyterHub has no types
    """Forwards on loopback, as this user; the class itself does it on all addresses, and for root as user 1000."""

    async def subprocess_cmd(self, cmd: list[str], timeout: float = 3) -> tuple[int | None, bytes, bytes]:
        """Run ssh."""
        words = " ".join(cmd).replace("-L0.0.0.0:", "-L127.0.0.1:")
        process = await asyncio.create_subprocess_shell(words, stdout=PIPE, stderr=PIPE)
        out, err = await asyncio.wait_for(process.communicate(), timeout)
        return process.returncode, out, err


def is_delayed(spawner: Any) -> bool:
    """Does nobody but the server know where it runs?"""
    return bool((spawner.user_options or {}).get("delayed"))


async def forward(spawner: Any, _info: dict[str, Any]) -> tuple[str, int]:
    """Make the tunnel; where its near end is."""
    await spawner.ssh_default_forward()
    return "127.0.0.1", spawner.port


def near_end(spawner: Any, answered: str) -> str:
    """Where the hub looks for the server."""
    return f"http://127.0.0.1:{spawner.port}" if is_delayed(spawner) else answered


folder = os.environ["SSH_FOLDER"]
c.JupyterHub.spawner_class = LoopbackSpawner
c.OutpostSpawner.ssh_during_startup = lambda spawner: not is_delayed(spawner)
c.OutpostSpawner.ssh_custom_forward = forward
c.OutpostSpawner.update_expected_path = near_end
c.OutpostSpawner.ssh_node = "127.0.0.1"
c.OutpostSpawner.ssh_port = int(os.environ["SSH_PORT"])
c.OutpostSpawner.ssh_username = os.environ["SSH_USER"]
c.OutpostSpawner.ssh_key = f"{folder}/client_key"
c.OutpostSpawner.ssh_forward_options = {
    "UserKnownHostsFile": f"{folder}/known_hosts",
    "ControlPath": f"{folder}/control",
}
