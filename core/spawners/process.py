"""Spawners of local processes: a pid alone is no identity, and a zombie has ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from core.model import JsonDict
from core.spawners.adapter import StatelessSpawner

MARK_VARIABLE = "OUTPOST_SERVICE"
"""In a server's environment; finds the process of a start that was cut off before its pid was stored."""

STARTED_BEFORE = "started_before"
"""In the notes of a state that an earlier Outpost stored without a start time: seconds since the epoch."""

_SAME_START_SECONDS = 1.0
"""The system derives start times from clock ticks; the same process may be told a little apart."""


class RestoredProcess(subprocess.Popen[bytes]):
    """A process that an earlier object has started, where JupyterHub's code expects its ``Popen``.

    So ``poll()`` and ``stop()`` of a Spawner, and what subclasses make of them, need no change.
    """

    def __init__(self, pid: int, started: float | None, started_before: float | None = None) -> None:
        """``started`` is the process's start time in seconds since the epoch.

        Without it whatever has the pid is accepted, unless it is younger than ``started_before``.
        """
        self.pid = pid
        self.returncode: int | None = None
        self._started = started
        self._started_before = started_before

    def poll(self) -> int | None:
        """None while that very process runs; else its exit code, 0 when nobody knows it."""
        if self.returncode is None:
            self.returncode = self._exit_code()
        return self.returncode

    def _exit_code(self) -> int | None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if not self._is_meant(process.create_time()):
                return 0
            with contextlib.suppress(ChildProcessError):
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                return os.waitstatus_to_exitcode(status) if ended else None
            return 0 if process.status() == psutil.STATUS_ZOMBIE else None
        return 0

    def _is_meant(self, created: float) -> bool:
        if self._started is not None:
            return abs(created - self._started) <= _SAME_START_SECONDS
        return self._started_before is None or created < self._started_before

    def __exit__(self, *_: object) -> None:
        """There are no pipes to close, and nothing to wait for."""


if TYPE_CHECKING:

    class ProcessBase(StatelessSpawner):
        """The part of ``jupyterhub.spawner.LocalProcessSpawner`` that the mixin stands on."""

        pid: int
        proc: subprocess.Popen[bytes] | None

        async def _signal(self, sig: int) -> bool: ...

else:
    ProcessBase = StatelessSpawner


class StatelessProcessSpawner(ProcessBase):
    """The ``LocalProcessSpawner`` family, with the process's start time and mark beside the pid."""

    needs_mark = True

    def get_env(self) -> dict[str, str]:
        """The server's environment, marked."""
        return super().get_env() | {MARK_VARIABLE: self.mark}

    def get_state(self) -> JsonDict:
        """The pid, and in the notes the moment that process started."""
        if self.pid and "started" not in self.notes:
            with contextlib.suppress(psutil.Error):
                self.notes["started"] = psutil.Process(self.pid).create_time()
        if self.pid and self.cert_paths:
            self.notes["cert_paths"] = dict(self.cert_paths)
        return super().get_state()

    def restore_state(self, state: JsonDict) -> None:
        """Find the process again, by its mark when its start was cut off before the pid was stored."""
        super().restore_state(state)
        self._find()

    def _find(self) -> None:
        if not self.pid:
            self.pid = _find_marked(self.notes.get("mark"))
        if self.pid and self.proc is None:
            self.proc = RestoredProcess(self.pid, self.notes.get("started"), self.notes.get(STARTED_BEFORE))

    async def stop(self, now: bool = False) -> None:
        """Stop the process, that of a start too that has failed without a word of what it had made."""
        self._find()
        await super().stop(now)

    async def _signal(self, sig: int) -> bool:
        """Signal that very process, in the Spawner's own way; False when it has ended."""
        if self.proc is None or self.proc.poll() is not None:
            return False
        return await super()._signal(sig)

    async def is_gone(self) -> bool:
        """After ``stop()``: has the process ended? Then its certificates go too."""
        gone = await super().is_gone()
        if gone:
            for path in self.notes.get("cert_paths", {}).values():
                Path(path).unlink(missing_ok=True)
        return gone

    async def close(self) -> None:
        """Let go of the process: it goes on when this object, or Outpost, ends."""
        await super().close()
        if self.proc is not None and self.proc.returncode is None:
            self.proc.returncode = 0  # or Popen complains, and reaps the exit code before a poll can tell it


def _find_marked(mark: str | None) -> int:
    """The pid of the oldest process with that mark (its kernels inherit it); 0 when there is none."""
    if not mark:
        return 0
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE) == mark:
                found.append((process.create_time(), process.pid))
    return min(found)[1] if found else 0
