"""``python -m local`` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from local.processes import Process, clean_environment, end_marked, marked
from tests.support.waiting import eventually

_UP_SECONDS = 60
_END_SECONDS = 40
FREE_PORTS = tuple(part for name in ("api", "invoke", "url", "aws") for part in (f"--{name}-port", "0"))


class Emulator:
    """One with its state in a folder, on free ports, which writes JSON."""

    def __init__(self, folder: Path, template: Path, *options: str) -> None:
        """Nothing runs before ``start()``."""
        self.state = folder / "state"
        self.mark = str(self.state.resolve())
        self._arguments = ["--template", str(template), "--state", str(self.state)]
        self._options = options
        self._folder = folder
        self.process = self._process("--json")
        self.facts: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self.process.pid is not None
        return self.process.pid

    def for_people(self) -> Process:
        """The same, not started, which writes for people."""
        return self._process()

    def _process(self, *output: str) -> Process:
        command = [sys.executable, "-m", "local", *output, *FREE_PORTS, *self._arguments, *self._options]
        # With the mark it would be taken for one of its own processes.
        env = clean_environment("", commands=Path(sys.executable).parent)
        return Process("emulator", command, env, self._folder, self._folder / "emulator.log")

    def start(self) -> Emulator:
        """Start it, and wait until it is ready."""
        seen = len(self.events("ready"))
        self.process.start()
        eventually(lambda: self._is_ready(seen), _UP_SECONDS, "the emulator is ready")
        self.facts = self.events("ready")[-1]
        return self

    def _is_ready(self, seen: int) -> bool:
        assert self.process.running, self.process.log_tail()
        return len(self.events("ready")) > seen

    def stop(self) -> int | None:
        """Ask it to end, as Ctrl-C does, and wait for that; the exit code."""
        self.process.signal(signal.SIGINT)
        eventually(lambda: not self.process.running, _END_SECONDS, "the emulator ends")
        return self.process.exit_code

    def close(self) -> None:
        """End it with all that it has started."""
        self.process.kill()
        end_marked(self.mark)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The lines of that kind, so far."""
        if not self.process.log.exists():
            return []
        written = [line for line in self.process.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, written) if line["event"] == kind]

    def invocations(self, function: str) -> list[dict[str, Any]]:
        """What was told of that function's invocations, so far."""
        return [line for line in self.events("invocation") if line["function"] == function]

    def invoke(self, function: str, event: Any = None) -> Any:
        """What the function answers at Lambda's Invoke API."""
        response = self.call(function, event)
        assert response.status_code == 200, response.text
        return response.json()

    def call(self, function: str, event: Any = None, kind: str = "RequestResponse") -> httpx.Response:
        """What the Invoke API answers; the ``kind`` ``Event`` waits for nothing."""
        url = f"{self.facts['invoke']}/2015-03-31/functions/{function}/invocations"
        return httpx.post(url, json=event or {}, headers={"X-Amz-Invocation-Type": kind}, timeout=60)

    def tick(self, function: str) -> subprocess.CompletedProcess[str]:
        """``--tick``."""
        return run(*self._arguments, "--tick", function)

    def instances(self) -> list[psutil.Process]:
        """The functions' instances, and with ``--cold`` the process that forks them."""
        return psutil.Process(self.pid).children(recursive=True)

    def servers(self) -> list[psutil.Process]:
        """Everything else that runs for it, once it has ended."""
        return marked(self.mark)


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """``python -m local`` until it ends by itself."""
    env = clean_environment("", commands=Path(sys.executable).parent)
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
