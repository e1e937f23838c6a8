"""A JupyterHub whose servers run at an Outpost. The first half is what any such hub needs, the second is the demo's."""

import os
import sys
from base64 import b64encode
from typing import Any

c = get_config()  # type: ignore[name-defined]  # noqa: F821  # the loader defines it

# --- the Outpost, and as whom this hub logs in there

login = f"{os.environ['OUTPOST_USERNAME']}:{os.environ['OUTPOST_PASSWORD']}"

c.JupyterHub.spawner_class = "outpostspawner.OutpostSpawner"
c.OutpostSpawner.request_url = os.environ["OUTPOST_URL"] + "/services"
c.OutpostSpawner.request_headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
c.OutpostSpawner.request_kwargs = {"request_timeout": 60, "connect_timeout": 5}

# The hub reaches the servers directly: no Kubernetes service and no SSH tunnel in between.
c.OutpostSpawner.svc_create = False

# Else every start carries ``misc`` with Kubernetes names, this hub's choice of a port, and "ip": "0.0.0.0":
# the servers would listen on all interfaces of the machine.
c.OutpostSpawner.custom_misc_disable_default = True


# Outpost tells the hub here, at every start and stop, what is free.
def flavors_url(_spawner: Any, _user_options: dict[str, Any], api_url: str) -> dict[str, str]:
    """Extra variables for Outpost; the last part of the URL is this hub's name for the Outpost."""
    return {"JUPYTERHUB_FLAVORS_UPDATE_URL": f"{api_url}/outpostflavors/outpost"}


c.OutpostSpawner.custom_env = flavors_url
c.JupyterHub.custom_scopes = {"custom:outpostflavors:set": {"description": "Set the flavors of an Outpost"}}
c.JupyterHub.services = [{"name": "outpost-flavors", "api_token": os.environ["DEMO_FLAVORS_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "outpost-flavors", "scopes": ["custom:outpostflavors:set"], "services": ["outpost-flavors"]}
]

# --- a hub for one machine: anybody with the password may log in, under any name

state = os.environ["DEMO_STATE"]

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["DEMO_LOGIN_PASSWORD"]
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.Spawner.http_timeout = 60

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['DEMO_PUBLIC_PORT']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['DEMO_HUB_PORT']}"
c.JupyterHub.db_url = f"sqlite:///{state}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{state}/jupyterhub_cookie_secret"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['DEMO_PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [sys.executable, "-m", "local.proxy"]
c.ConfigurableHTTPProxy.pid_file = f"{state}/proxy.pid"

# The servers end with this hub. A hub that is restarted while its users work sets this to False.
c.JupyterHub.cleanup_servers = True
