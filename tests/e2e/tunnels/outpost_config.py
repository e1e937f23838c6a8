"""The suite's Outpost; its servers listen where the hub does not look, and may have to tell the hub themselves."""

import os
import sys

from jupyterhub.spawner import SimpleLocalProcessSpawner

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(os.environ["E2E_OUTPOST_CONFIG"])  # type: ignore[name-defined]  # noqa: F821  # as above


class FarSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub has no types
    """With ``delayed`` in the options nobody but the server knows where it runs."""

    async def start(self) -> tuple[str, int]:
        """The server's own command tells the hub."""
        if self.user_options.get("delayed"):
            self.cmd = [sys.executable, os.environ["E2E_DELAYED_SERVER"]]
        place: tuple[str, int] = await super().start()
        return place


def place(spawner: FarSpawner, response: str) -> str:
    """What the hub is told."""
    return "" if spawner.user_options.get("delayed") else response


c.JupyterHubOutpost.spawner_class = FarSpawner
c.JupyterHubOutpost.sanitize_start_response = place
c.Spawner.ip = "127.0.0.77"
