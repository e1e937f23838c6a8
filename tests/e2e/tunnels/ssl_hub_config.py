"""A hub with ``internal_ssl``, asked without a proxy in front."""

import os
from pathlib import Path
from typing import Any

from jupyterhub.proxy import Proxy

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(str(Path(os.environ["E2E_HUB_CONFIG"])))  # type: ignore[name-defined]  # noqa: F821  # as above


class NoProxy(Proxy):  # type: ignore[misc]  # JupyterHub has no types
    """Knows the routes, and serves none."""

    should_start = False

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        """Remember it."""
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget it."""
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        """All of them."""
        return self.routes


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.internal_ssl = True
c.JupyterHub.internal_certs_location = os.environ["CERTS"]
