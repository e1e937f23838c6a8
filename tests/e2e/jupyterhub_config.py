"""The demo's hub, with a service that drives it, and servers that outlive it.

``user_options.asynchronous`` chooses how OutpostSpawner talks to Outpost.
"""

import os
from typing import Any

from local.configs import HUB_CONFIG

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it
load_subconfig(str(HUB_CONFIG))  # type: ignore[name-defined]  # noqa: F821  # as above

c.JupyterHub.services.append({"name": "tester", "api_token": os.environ["TESTER_TOKEN"]})
c.JupyterHub.load_roles.append(
    {
        "name": "tester",
        "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"],
        "services": ["tester"],
    }
)
c.JupyterHub.cleanup_servers = False
c.OutpostSpawner.custom_poll_interval = 1000
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0.5}  # how long the API waits before it says "pending"


def is_asynchronous(spawner: Any) -> bool:
    """Is this server started and stopped in Outpost's background?"""
    return bool((spawner.user_options or {}).get("asynchronous"))


def misc(spawner: Any, _user_options: dict[str, Any]) -> dict[str, Any]:
    """An asynchronous start answers before anybody knows where the server runs, so this hub decides it."""
    return {"ip": "127.0.0.1", "port": spawner.port} if is_asynchronous(spawner) else {}


def expected_place(spawner: Any, answered: str) -> str:
    """Where the hub looks for the server."""
    return f"http://127.0.0.1:{spawner.port}" if is_asynchronous(spawner) else answered


def write_down_last_event(spawner: Any) -> None:
    """What ended a start. After an asynchronous one the hub keeps no server that could be asked for its events."""
    if message := spawner.last_event.get("html_message"):
        spawner.log.warning("Start of %s ended with %s", spawner._log_name, message)


c.OutpostSpawner.start_async = is_asynchronous
c.OutpostSpawner.stop_async = is_asynchronous
c.OutpostSpawner.custom_misc = misc
c.OutpostSpawner.update_expected_path = expected_place
c.OutpostSpawner.post_stop_hook = write_down_last_event
