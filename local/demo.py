"""Outpost as functions and a JupyterHub that uses it, on this machine until Ctrl-C: ``python -m local.demo``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.configs import HUB_CONFIG, OUTPOST_CONFIG
from local.processes import Process, end_marked, is_free
from local.services import stop_services
from local.stack import Ports, answers, hub_process, outpost_process
from local.state import EMULATOR, State, StateError

STATE = Path(".outpost-demo")
"""Not the emulator's own: the demo ends what runs in its folder, and servers of the emulator alone are to go on."""

_LAST_PORT = 65535
_MISTAKE = 2
_CHILD_ENDED = 1
_START_SECONDS = 60.0
_HUB_STOP_SECONDS = 40.0
"""The hub stops its servers meanwhile."""
_OUTPOST_STOP_SECONDS = 1.5
"""With no server left there is nothing that Outpost's own period of grace is for."""
_LOOK_SECONDS = 0.2

_WELCOME = """
  Log in     {url}
  user       {user} (any name will do)
  password   {password}

  Outpost    {outpost}, the functions of template.yaml; its API at /docs
  settings   {hub_config}
             {outpost_config}
  state      {state}  databases, passwords, home folders
  logs       {logs}

Ctrl-C ends everything.
"""


class ChildEndedError(Exception):
    """One of the demo's processes ended, or never came up; the message tells which, with its last log lines."""


class Demo:
    """One run of the demo in a state folder that nobody else uses."""

    def __init__(self, state: State, ports: Ports) -> None:
        self._state = state
        self._ports = ports
        self._outpost = outpost_process(state, ports)
        self._hub = hub_process(state, ports)
        self._asked = 0

    def run(self) -> int:
        """Run until a signal asks for the end; 1 when one of the parts ended by itself."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)
        try:
            self._start()
            while not self._asked:
                self._look()
        except ChildEndedError as error:
            print(f"\noutpost demo: {error}", file=sys.stderr, flush=True)
            return _CHILD_ENDED
        finally:
            self._end()
        return 0

    def _ask(self, *_: object) -> None:
        self._asked += 1

    def _start(self) -> None:
        for process, url in (
            (self._outpost, f"{self._ports.outpost_url}/ping"),
            (self._hub, f"{self._ports.public_url}/hub/health"),
        ):
            process.log.unlink(missing_ok=True)
            _say(f"Starting {process.name} ...")
            process.start()
            self._wait_for(process, url)
        if not self._asked:
            _say(self._welcome())

    def _wait_for(self, process: Process, url: str) -> None:
        in_time = self._patience(_START_SECONDS)
        while not self._asked and not answers(url):
            self._look()
            if not in_time():
                raise ChildEndedError(f"{process.name} does not answer. Its log ends with\n{process.log_tail()}")

    def _look(self) -> None:
        """A short pause. Raises ``ChildEndedError``."""
        time.sleep(_LOOK_SECONDS)
        for process in (self._outpost, self._hub):
            if process.exit_code is not None and not self._asked:
                raise ChildEndedError(
                    f"{process.name} ended by itself with exit code {process.exit_code}."
                    f" Its log {process.log} ends with\n{process.log_tail()}"
                )

    def _end(self) -> None:
        """The hub first, which stops its servers through Outpost; at last whatever is left. Asked again: at once."""
        _say("\nStopping the servers, the hub and Outpost ...")
        self._hub.stop(self._patience(_HUB_STOP_SECONDS))
        if self._outpost.running and self._asked <= 1:
            stop_services(self._ports.outpost_url, self._state.secrets.outpost_password)
        self._outpost.stop(self._patience(_OUTPOST_STOP_SECONDS))
        end_marked(self._state.mark)
        _say("Stopped. The state is kept for the next time.")

    def _patience(self, seconds: float) -> Callable[[], bool]:
        """True for that long, unless the end is asked for a second time."""
        deadline = time.monotonic() + seconds
        return lambda: time.monotonic() < deadline and self._asked <= 1

    def _welcome(self) -> str:
        return _WELCOME.format(
            url=self._ports.public_url,
            user=_user_name(),
            password=self._state.secrets.login_password,
            outpost=self._ports.outpost_url,
            hub_config=HUB_CONFIG,
            outpost_config=OUTPOST_CONFIG,
            state=self._state.folder,
            logs=self._state.logs,
        )


def main(argv: list[str] | None = None) -> int:
    """0 after a signal, 1 when a part ended by itself, 2 for a mistake in the arguments."""
    arguments = _parser().parse_args(argv)
    os.umask(0o077)
    try:
        state = State(arguments.state)
        with state.locked("demo"):
            return _run(state, arguments.port, arguments.outpost_port)
    except StateError as error:
        return _mistake(str(error))


def _run(state: State, port: int, outpost_port: int) -> int:
    with state.locked(EMULATOR):
        left = end_marked(state.mark)
    if left:
        _say(f"Ended {left} processes that an earlier demo had left.")
    for wanted in (port, outpost_port):
        if wanted and not is_free(wanted):
            return _mistake(f"port {wanted} is in use; choose another one with --port or --outpost-port")
    return Demo(state, Ports.pick(port, outpost_port)).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--port", type=_port, default=8000, help="where people log in; 0 is a free one; %(default)s")
    parser.add_argument("--outpost-port", type=_port, default=0, help="Outpost's API; default: a free one")
    about = "what is kept; whatever runs in it ends with the demo; default: %(default)s"
    parser.add_argument("--state", type=Path, default=STATE, help=about)
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= _LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")


def _mistake(message: str) -> int:
    print(f"outpost demo: {message}", file=sys.stderr, flush=True)
    return _MISTAKE


def _say(message: str) -> None:
    print(message, flush=True)


def _user_name() -> str:
    return os.environ.get("USER") or "demo"


if __name__ == "__main__":
    sys.exit(main())
