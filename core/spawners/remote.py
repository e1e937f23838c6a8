"""The hub, user and server as a Spawner sees them, made from what the hub sent with the start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.utils import url_escape_path, url_path_join

from core.model import Service


@dataclass
class RemoteUser:
    """A user of a hub elsewhere: what Spawners and their hooks read of ``spawner.user``."""

    name: str
    id: int | str
    base_url: str
    host: str
    auth_state: dict[str, str]
    admin: bool = False
    groups: list[Any] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def escaped_name(self) -> str:
        """The name as it stands in URLs."""
        return str(url_escape_path(self.name))

    @property
    def url(self) -> str:
        """Where the user's servers are, with the host when the hub uses subdomains."""
        return self.host + self.base_url

    async def get_auth_state(self) -> dict[str, str]:
        """What the hub sent in ``auth-state-*`` headers with this very request."""
        return dict(self.auth_state)

    def progress_url(self, server_name: str = "") -> str:
        """Where the hub shows the progress of a start."""
        parts = [self.base_url.partition("/user/")[0], "hub/api/users", self.escaped_name]
        parts += ["servers", url_escape_path(server_name)] if server_name else ["server"]
        return str(url_path_join("/", *parts, "progress"))


def remote_user(service: Service) -> RemoteUser:
    """The user a service runs for."""
    env, user_id = service.body.env, service.user_id
    name = service.body.user_name
    base_url = url_path_join("/", env.get("JUPYTERHUB_BASE_URL", "/"), "user", url_escape_path(name), "/")
    return RemoteUser(
        name=name,
        id=int(user_id) if user_id.isdecimal() else user_id,
        base_url=base_url,
        host=env.get("JUPYTERHUB_HOST", ""),
        auth_state=service.inputs.auth_state,
    )


def remote_hub(env: Mapping[str, str]) -> Hub:
    """The hub, known by its API URL."""
    api = urlsplit(env.get("JUPYTERHUB_API_URL", "http://127.0.0.1:8081/hub/api"))
    return Hub(
        proto=api.scheme,
        ip=api.hostname or "",
        port=api.port or (443 if api.scheme == "https" else 80),
        base_url=url_path_join(api.path.rstrip("/").removesuffix("api"), "/"),
        public_host=env.get("JUPYTERHUB_HOST", ""),
    )


def orm_spawner(service: Service) -> SimpleNamespace:
    """What a Spawner reads of its row in the hub's database."""
    env, name = service.body.env, service.identity.name
    prefix = env.get("JUPYTERHUB_SERVICE_PREFIX") or f"/user/{url_escape_path(service.body.user_name)}/"
    server = orm.Server(proto="http", ip="", port=0, base_url=prefix, cookie_name="")
    return SimpleNamespace(
        name=name,
        display_name=name,
        server=server,
        state={},
        user_options=service.body.user_options,
        started=service.start_date.replace(tzinfo=None),
        last_activity=None,
        oauth_client=None,
    )


def constructor_arguments(service: Service) -> dict[str, Any]:
    """What JupyterHub hands to a Spawner's constructor, besides its configuration and what is its default anyway."""
    env = service.body.env
    usually_empty = {
        "user_options": service.body.user_options,
        "oauth_client_id": env.get("JUPYTERHUB_CLIENT_ID", ""),
        "cookie_options": _json(env.get("JUPYTERHUB_COOKIE_OPTIONS"), {}),
        "cookie_host_prefix_enabled": env.get("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED") == "1",
        "admin_access": env.get("JUPYTERHUB_ADMIN_ACCESS") == "1",
        "public_url": env.get("JUPYTERHUB_PUBLIC_URL", ""),
        "public_hub_url": env.get("JUPYTERHUB_PUBLIC_HUB_URL", ""),
        "internal_ssl": bool(service.inputs.certs) or bool(service.body.misc.get("internal_ssl")),
    }
    return {
        "user": remote_user(service),
        "hub": remote_hub(env),
        "orm_spawner": orm_spawner(service),
        "oauth_access_scopes": _json(env.get("JUPYTERHUB_OAUTH_ACCESS_SCOPES"), []),
        **{name: value for name, value in usually_empty.items() if value},  # each costs more than all of these lines
    }


def _json(text: str | None, otherwise: Any) -> Any:
    try:
        value = json.loads(text) if text else otherwise
    except ValueError:
        return otherwise
    return value if isinstance(value, type(otherwise)) else otherwise
