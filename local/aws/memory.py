"""How much memory one process has taken: itself alone, not the processes that it has started."""

from __future__ import annotations

from pathlib import Path

import psutil

MB = 1024 * 1024

_PROC = Path("/proc")
_PEAK = b"\nVmHWM:"


class Memory:
    """The most that a process has had in RAM. The kernel keeps that figure on Linux; elsewhere it is what was seen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._status = _PROC / str(pid) / "status"
        self._peak = 0

    @property
    def peak_mb(self) -> int:
        """As of the last ``look()``, rounded up."""
        return -(-self._peak // MB)

    def look(self) -> int:
        """The most until now, in bytes. A process that has ended is remembered."""
        self._peak = max(self._peak, self._now())
        return self._peak

    def _now(self) -> int:
        try:
            if not _PROC.is_dir():
                return int(psutil.Process(self._pid).memory_info().rss)
            status = self._status.read_bytes()
        except (OSError, psutil.Error):
            return 0
        _, found, rest = status.partition(_PEAK)
        return int(rest.split(None, 1)[0]) * 1024 if found else 0
