"""The demo's Outpost, with a Spawner that reports progress, and fails or lingers when user_options say so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner

from local.configs import OUTPOST_CONFIG

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(str(OUTPOST_CONFIG))  # type: ignore[name-defined]  # noqa: F821  # as above


class ObedientSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # JupyterHub has no types
    """Local processes; ``fail`` in the options is the reason to fail with, ``linger`` the seconds to dawdle."""

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the tests look for at the hub."""
        yield {"progress": 40, "message": "unpacking the toolbox"}
        yield {"progress": 60, "message": "sharpening the pencils"}

    async def start(self) -> tuple[str, int]:
        """The process runs before the lingering begins: a stop meanwhile has something to find."""
        if reason := self.user_options.get("fail"):
            raise RuntimeError(reason)
        place: tuple[str, int] = await super().start()
        await asyncio.sleep(self.user_options.get("linger", 0))
        return place


c.JupyterHubOutpost.spawner_class = ObedientSpawner
# the run time begins before the hub sees the server ready, which takes a busy machine some seconds
c.JupyterHubOutpost.flavors = {"brief": {"max": 5, "display_name": "20 seconds", "runtime": {"seconds": 20}}}
