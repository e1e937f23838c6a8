"""An Outpost and a JupyterHub that uses it, on this machine."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.configs import HUB_CONFIG, HUB_NAME, OUTPOST_CONFIG
from local.processes import HOST, ROOT, Process, clean_environment, free_ports
from local.state import State


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
    state: State,
    ports: Ports,
    config: Path = OUTPOST_CONFIG,
    variables: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Process:
    """Outpost as functions of the emulator; ``variables`` are added to their environment, ``options`` are its own."""
    parameters = {
        "ConfigFile": config,
        "FlavorsFile": state.folder / "flavors.yaml",
        "CreditsFile": state.folder / "credits.yaml",
    }
    file = state.folder / "variables.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"Parameters": dict(variables or {})}))
    command = [
        *("-m", "local", "--json", "--template", str(ROOT / "template.yaml"), "--state", str(state.folder)),
        *(part for name, value in parameters.items() for part in ("--parameter", f"{name}={value}")),
        *("--env-vars", str(file), "--url-port", str(ports.outpost)),
        *("--api-port", "0", "--invoke-port", "0", "--aws-port", "0"),
        *options,
    ]
    return python_process(state, "outpost", command, {})


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
    return python_process(state, "hub", ["-m", "jupyterhub", "-f", str(config)], settings | dict(env or {}))


def python_process(state: State, name: str, command: list[str], settings: dict[str, str]) -> Process:
    """A Python process that works in the state folder."""
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
