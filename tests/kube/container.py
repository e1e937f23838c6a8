"""One container of the stand-in's node: a real process, or a story about one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.kube.kubelet_api import Object, now
from tests.kube.scenarios import Scenario


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started: str = ""

    def state(self) -> Object:
        """As it stands in a pod's status."""
        reason = self.reason or ("Error" if self.exit_code else "Completed")
        times = {"startedAt": self.started or now(), "finishedAt": now()}
        message = {"message": self.message} if self.message else {}
        return {"terminated": {"exitCode": self.exit_code, "reason": reason, **message, **times}}


class Container:
    """The first container of a pod, in one of its lives; ``output`` is what it logs."""

    def __init__(self, spec: Object, scenario: Scenario, address: str, output: Path) -> None:
        self._spec = spec
        self._scenario = scenario
        self._address = address
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._told: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.started = ""

    async def start(self) -> None:
        """Start it. Raises ``OSError`` when there is no such command."""
        self._output.write_text(self._scenario.output)
        if self._scenario.run:
            await self._exec()
        self.started = now()

    async def wait(self) -> Ended:
        """How it ended by itself, or as the test said."""
        scenario = self._scenario
        if self._process is not None:
            waiting = asyncio.create_task(self._process.wait())
            ends: list[asyncio.Future[Any]] = [waiting, self._told]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not self._told.done():
                code = waiting.result()
                return Ended(code if code >= 0 else 128 - code, scenario.reason, scenario.message, self.started)
            self.kill()
            await waiting
        elif scenario.exit_code is not None and not self._told.done():
            return Ended(scenario.exit_code, scenario.reason, scenario.message, self.started)
        return replace(await self._told, started=self.started)

    def end(self, ended: Ended) -> None:
        """Let it end that way."""
        if not self._told.done():
            self._told.set_result(ended)

    async def stop(self, grace_seconds: float) -> Ended:
        """End it as a kubelet does: a signal, some time, then by force."""
        if self._process is None:
            takes = self._scenario.stop_seconds
            await asyncio.sleep(min(takes, grace_seconds))
            return Ended(0 if takes <= grace_seconds else 137, started=self.started)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), grace_seconds)
        self.kill()
        code = await self._process.wait()
        return Ended(code if code >= 0 else 128 - code, started=self.started)

    def kill(self) -> None:
        """End its process at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)  # what it has started, too, even when it has ended itself

    async def _exec(self) -> None:
        command = [*self._spec.get("command", ()), *self._spec.get("args", ())]
        env = {item["name"]: item.get("value", "") for item in self._spec.get("env", ())}
        # A container listens on all addresses of its pod; on this machine a pod has one of its own.
        if env.get("JUPYTERHUB_SERVICE_URL"):
            env["JUPYTERHUB_SERVICE_URL"] = re.sub(r"//[^:/]*", f"//{self._address}", env["JUPYTERHUB_SERVICE_URL"])
        inherited = {"PATH": os.environ["PATH"], "HOME": str(self._output.parent)}
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                env=inherited | env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._output.parent,
                start_new_session=True,
            )
