"""The processes of the suite: Outpost, and a hub with its proxy."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from local.configs import HUB_NAME
from local.emulator.options import Options
from local.emulator.tick import tick
from local.processes import HOST, Process, clean_environment, end_marked
from local.stack import Ports, answers, hub_process, outpost_process, python_process
from local.state import State
from tests.e2e.hub import Hub, Server
from tests.support.cloud_run import OutpostOnCloudRun
from tests.support.outpost import HubCalls
from tests.support.waiting import eventually

OTHER_HUB = "other"
"""A second hub that Outpost knows; it exists in the tests' calls only."""

LOGS_ITS_REQUESTS = """
import logging
logging.getLogger("uvicorn.access").handlers[:] = [logging.StreamHandler()]
logging.getLogger("uvicorn.access").setLevel("INFO")
"""
"""As a part of a configuration file: what Cloud Run's own log would say."""

_UP_SECONDS = 40
_HERE = Path(__file__).parent
OUTPOST_CONFIG = _HERE / "outpost_config.py"


class Stack:
    """Outpost and a hub on free loopback ports, with all they store in one folder. Outpost is one process."""

    access_line = r'"{method} {path} HTTP/1.1" {status}'
    """What Outpost writes of a call, as a regular expression."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        self.ports = Ports.pick()
        self._passwords = {HUB_NAME: self.state.secrets.outpost_password, OTHER_HUB: secrets.token_hex(8)}
        token = secrets.token_hex(16)
        logins = {"usernames": ";".join(self._passwords), "passwords": ";".join(self._passwords.values())}
        self.outpost = self._outpost(logins)
        self.hub = hub_process(self.state, self.ports, _HERE / "jupyterhub_config.py", {"TESTER_TOKEN": token})
        self.api = Hub(self.ports.public_url, token)
        self._users = 0

    def _settings(self, logins: dict[str, str]) -> dict[str, str]:
        secrets = self.state.secrets
        return {
            **logins,
            "JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER": "1",
            "OUTPOST_CONFIG_FILE": str(OUTPOST_CONFIG),
            "OUTPOST_CRYPT_KEY": secrets.crypt_key,
            "OUTPOST_FLAVORS_PATH": str(self.state.folder / "flavors.yaml"),
            "OUTPOST_CREDITS_PATH": str(self.state.folder / "credits.yaml"),
            "SQL_DATABASE_URL": str(self.state.folder / "outpost.sqlite"),
            "DEMO_HOMES": str(self.state.homes),
            "DEMO_FLAVORS_TOKEN": secrets.flavors_token,
        }

    def _outpost(self, logins: dict[str, str]) -> Process:
        command = ["-m", "handlers.server", "--host", HOST, "--port", str(self.ports.outpost)]
        return python_process(self.state, "outpost", command, self._settings(logins))

    def tick(self) -> None:
        """Have the scheduled work done now, where that would take a minute; one process does it every second."""

    def start(self) -> None:
        """Start both."""
        self.start_outpost()
        self.start_hub()

    def start_outpost(self) -> None:
        """Start Outpost, and wait until it answers."""
        self._start(self.outpost, f"{self.ports.outpost_url}/ping")

    def start_hub(self) -> None:
        """Start the hub, and wait until it answers through its proxy."""
        self._start(self.hub, f"{self.ports.public_url}/hub/health")

    def close(self) -> None:
        """End all that was started here, the servers included."""
        self.api.close()
        self.hub.kill()
        self.outpost.kill()
        end_marked(self.state.mark)

    def new_server(self, name: str = "") -> Server:
        """A server of a new user, not started yet; a name is made unique, so that Outpost's list can tell it."""
        self._users += 1
        user = f"user{self._users}"
        self.api.new_user(user)
        return Server(self.api, user, name and f"{name}{self._users}", self.state.mark)

    def outpost_as(self, hub: str = HUB_NAME) -> HubCalls:
        """Outpost's API as that hub sees it."""
        return HubCalls(self.ports.outpost_url, hub, self._passwords[hub])

    def listed(self, server: Server) -> bool:
        """Does Outpost list a service for the server?"""
        with self.outpost_as() as outpost:
            return server.name in [service["name"] for service in outpost.services()]

    def assert_unlisted(self, server: Server) -> None:
        """Outpost lists no service for it, at the latest in a moment."""
        eventually(lambda: not self.listed(server), 15, f"Outpost lists no {server.name!r}")

    def logs(self) -> list[tuple[str, str]]:
        """The ends of the logs, for whoever reads of a failure, less what the tests' own waiting wrote there."""
        found = []
        for process in (self.hub, self.outpost):
            lines = [line for line in process.log_tail(1000).splitlines() if "include_stopped" not in line]
            found.append((process.name, "\n".join(lines[-60:])))
        return found

    def _start(self, process: Process, url: str) -> None:
        def up() -> bool:
            assert process.running, f"{process.name} ended\n{process.log_tail(60)}"
            return answers(url)

        process.start()
        eventually(up, _UP_SECONDS, f"{process.name} answers")


class Emulated(Stack):
    """The same, but for the Outpost: the functions of template.yaml in the emulator."""

    access_line = r'"what": "{method} {path}".*"http_status": {status}'
    options: tuple[str, ...] = ()

    def _outpost(self, logins: dict[str, str]) -> Process:
        return outpost_process(self.state, self.ports, OUTPOST_CONFIG, logins, self.options)

    def tick(self) -> None:
        """What a minute would bring."""
        for function in ("ExpireFunction", "RecoverFunction"):
            tick(Options(Path(), self.state.folder, {}, {}, tick=function))


class Cold(Emulated):
    """With a new process for every event."""

    options = ("--cold",)


class OnCloudRun(Stack):
    """The same, but for the Outpost: the functions of Google Cloud on gunicorn, with Cloud Tasks and schedules."""

    def _outpost(self, logins: dict[str, str]) -> Process:
        self._functions = FunctionProcesses(self.state, self.ports.outpost, self._settings(logins))
        return self._functions

    def tick(self) -> None:
        """What a minute would bring."""
        for name in ("expire", "recover"):
            assert self._functions.outpost.invoke(name).is_success

    def close(self) -> None:
        """End all that was started here, the servers included."""
        super().close()
        self._functions.outpost.close()


class FunctionProcesses(Process):
    """The functions of one Outpost, as if they were one process."""

    def __init__(self, state: State, port: int, settings: dict[str, str]) -> None:
        env = clean_environment(state.mark, commands=Path(sys.executable).parent) | settings
        config = LOGS_ITS_REQUESTS + f"load_subconfig({settings['OUTPOST_CONFIG_FILE']!r})\n"
        del env["OUTPOST_CONFIG_FILE"]
        self.outpost = OutpostOnCloudRun(state.folder, config, env, port=port)
        super().__init__("outpost", [], env, state.folder, self.outpost.log)
        self._is_migrated = False

    def start(self) -> None:
        """Start them, at first with a new database."""
        if not self._is_migrated:
            self.outpost.deploy()
            assert self.outpost.invoke("migrate").is_success, self.log_tail()
            self._is_migrated = True
            self.outpost.kill()
        self.outpost.launch()

    @property
    def running(self) -> bool:
        """Were they started, and have not ended?"""
        return not self.outpost.has_ended()

    def kill(self) -> None:
        """SIGKILL. They have ended afterwards."""
        self.outpost.kill()


def written_by(process: Process) -> Callable[[], str]:
    """What the process writes to its log from now on."""
    seen = process.log.stat().st_size
    return lambda: process.log.read_bytes()[seen:].decode(errors="replace")
