"""Child processes with a log each, and a mark by which all that they started is found again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]
"""Of this code."""

MARK_VARIABLE = "OUTPOST_LOCAL_MARK"
"""In the environment of every process started here; what those start inherits it, single-user servers too."""

_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
_PAUSE_SECONDS = 0.1
_TERM_SECONDS = 3.0

T = TypeVar("T")


class Process:
    """One child: in a session of its own, so that Ctrl-C reaches only its parent, which ends things in order."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
        """Nothing runs before ``start()``. Output is appended to ``log``."""
        self.name = name
        self.log = log
        self._command = command
        self._env = dict(env)
        self._folder = folder
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again after it has ended."""
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Its id; None before it was started."""
        return self._popen.pid if self._popen else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before it was started."""
        return self._popen.poll() if self._popen else None

    @property
    def running(self) -> bool:
        """Was it started, and has not ended?"""
        return self._popen is not None and self._popen.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal; nothing when it has ended."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def stop(self, patience: Callable[[], bool]) -> None:
        """SIGTERM, and SIGKILL as soon as ``patience()`` is False. It has ended afterwards."""
        self.signal(signal.SIGTERM)
        while self.running and patience():
            time.sleep(_PAUSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL. It has ended afterwards."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it wrote."""
        return log_tail(self.log, lines)


def log_tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file; empty when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def clean_environment(mark: str, commands: Path) -> dict[str, str]:
    """This process's environment less all that would configure Outpost, JupyterHub or AWS.

    ``commands`` is in PATH, and this code in PYTHONPATH.
    """
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = os.environ.get("PATH", os.defpath)
    paths = {"PATH": f"{commands}{os.pathsep}{path}", "PYTHONPATH": str(ROOT)}
    return env | paths | {"PYTHONUNBUFFERED": "1", MARK_VARIABLE: mark}


def marked(mark: str) -> list[psutil.Process]:
    """The live processes with that mark, but for this one. A zombie has ended."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK_VARIABLE) == mark:
                found.append(process)
    return found


def end_marked(mark: str) -> int:
    """End every process with that mark, SIGTERM first; returns how many there were at first."""
    first = processes = marked(mark)
    while processes:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(processes, timeout=_TERM_SECONDS)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=_TERM_SECONDS)
        processes = marked(mark)
    return len(first)


def wait_until(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first true answer of ``condition``. Raises ``TimeoutError`` that names ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} seconds")
        time.sleep(_PAUSE_SECONDS)


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nothing listens on at this moment."""
    with contextlib.ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in opened]


def is_free(port: int) -> bool:
    """Can this loopback port be listened on?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
