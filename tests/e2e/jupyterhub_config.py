"""The demo's hub, with a service that drives it, and servers that outlive it.

``user_options.asynchronous`` chooses how OutpostSpawner talks to Outpost.
"""

import os
from typing import Any

from local.stack import HUB_CONFIG

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


def is_asynchronous(spawner: Any) -> bool:
    """Is this server started and stopped in Outpost's background?"""
    return bool((spawner.user_options or {}).get("asynchronous"))


def misc(spawner: Any, _user_options: dict[str, Any]) -> dict[str, Any]:
    """An asynchronous start answers before anybody knows where the server runs, so this hub decides it."""
    return {"ip": "127.0.0.1", "port": spawner.port} if is_asynchronous(spawner) else {}


def expected_place(spawner: Any, answered: str) -> str:
    """Where the hub looks for the server."""
    return f"http://127.0.0.1:{spawner.port}" if is_asynchronous(spawner) else answered


def keep_last_event(spawner: Any) -> None:
    """Show the event that ended a start beside the others; OutpostSpawner keeps it apart from them."""
    if spawner.last_event and spawner.last_event not in spawner.events:
        spawner.events.append(spawner.last_event)


c.OutpostSpawner.start_async = is_asynchronous
c.OutpostSpawner.stop_async = is_asynchronous
c.OutpostSpawner.custom_misc = misc
c.OutpostSpawner.update_expected_path = expected_place
c.OutpostSpawner.post_stop_hook = keep_last_event
