"""An Outpost and a JupyterHub that uses it, as two processes on this machine."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.processes import HOST, Process, clean_environment, free_ports
from local.state import State

HUB_NAME = "hub"
"""As whom the hub logs in at Outpost."""

HUB_CONFIG = Path(__file__).with_name("jupyterhub_config.py")
OUTPOST_CONFIG = Path(__file__).with_name("outpost_config.py")


@dataclass(frozen=True)
class Ports:
    """Where things listen, all on loopback. Only ``public`` is for people."""

    public: int
    hub: int
    proxy: int
    outpost: int

    @classmethod
    def pick(cls, public: int = 0, outpost: int = 0) -> Ports:
        """Free ones for those that are 0."""
        free = free_ports(4)
        return cls(public or free[0], free[1], free[2], outpost or free[3])

    @property
    def public_url(self) -> str:
        """Where people log in; the hub's API is below it."""
        return f"http://{HOST}:{self.public}"

    @property
    def outpost_url(self) -> str:
        """Where the hub finds Outpost."""
        return f"http://{HOST}:{self.outpost}"


def outpost_process(
    state: State, ports: Ports, config: Path = OUTPOST_CONFIG, env: Mapping[str, str] | None = None
) -> Process:
    """Outpost, with its database in the state folder; ``env`` is added to its environment."""
    settings = {
        "OUTPOST_CONFIG_FILE": str(config),
        "OUTPOST_CRYPT_KEY": state.secrets.crypt_key,
        "usernames": HUB_NAME,
        "passwords": state.secrets.outpost_password,
        "SQL_TYPE": "sqlite",
        "SQL_DATABASE_URL": str(state.folder / "outpost.sqlite"),
        "OUTPOST_FLAVORS_PATH": str(state.folder / "flavors.yaml"),
        "OUTPOST_CREDITS_PATH": str(state.folder / "credits.yaml"),
        "DEMO_HOMES": str(state.homes),
        "DEMO_FLAVORS_TOKEN": state.secrets.flavors_token,
    }
    command = ["-m", "handlers.server", "--host", HOST, "--port", str(ports.outpost)]
    return _process(state, "outpost", command, settings | dict(env or {}))


def hub_process(state: State, ports: Ports, config: Path = HUB_CONFIG, env: Mapping[str, str] | None = None) -> Process:
    """JupyterHub, which starts its proxy; ``env`` is added to its environment."""
    settings = {
        "OUTPOST_URL": ports.outpost_url,
        "OUTPOST_USERNAME": HUB_NAME,
        "OUTPOST_PASSWORD": state.secrets.outpost_password,
        "DEMO_STATE": str(state.folder),
        "DEMO_FLAVORS_TOKEN": state.secrets.flavors_token,
        "DEMO_LOGIN_PASSWORD": state.secrets.login_password,
        "DEMO_PUBLIC_PORT": str(ports.public),
        "DEMO_HUB_PORT": str(ports.hub),
        "DEMO_PROXY_PORT": str(ports.proxy),
    }
    return _process(state, "hub", ["-m", "jupyterhub", "-f", str(config)], settings | dict(env or {}))


def _process(state: State, name: str, command: list[str], settings: dict[str, str]) -> Process:
    env = clean_environment(state.mark, commands=Path(sys.executable).parent) | settings
    return Process(name, [sys.executable, *command], env, folder=state.folder, log=state.logs / f"{name}.log")


def answers(url: str) -> bool:
    """Does a GET of that URL succeed right now?"""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
