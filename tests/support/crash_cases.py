"""Every step at which a kill -9 is tried, and what must hold after the next start of Outpost.

One row a pair of durable effects. ``tests/slow/test_crashes.py`` plays the rows; ``docs/reliability.md`` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Doing = Literal["start", "failing start", "stop", "failing stop", "expiry", "replacement", "tunnel"]
Mode = Literal["sync", "async"]

BOTH: tuple[Mode, ...] = ("sync", "async")
SYNC: tuple[Mode, ...] = ("sync",)
ASYNC: tuple[Mode, ...] = ("async",)


@dataclass(frozen=True)
class Case:
    """``doing`` is killed at the first of ``steps``, the recovery from that at the second."""

    doing: Doing
    steps: tuple[str, ...]
    meaning: str
    runs: bool = False
    """Is there a running server in the end? Else there is neither row nor server."""
    told: int = 0
    """How often the hub hears that the start failed."""
    modes: tuple[Mode, ...] = BOTH
    asked: int = 0
    """How often the hub is asked to set the tunnel up."""

    @property
    def row(self) -> str:
        """The row of the documentation."""
        steps = ", then ".join(f"`{step}`" for step in self.steps)
        ends = "**runs**" if self.runs else "no row, no server"
        times = {1: "once", 2: "twice"}
        told = f"told {times[self.told]}" if self.told else f"asked {times[self.asked]}" if self.asked else "-"
        doing = self.doing if self.modes == BOTH else f"{self.doing} ({self.modes[0]})"
        return f"| {doing} | {steps} | {self.meaning} | {ends} | {told} |"


CASES = [
    Case("start", ("start:admitted",), "the row is there, and the hub waits", told=1, modes=SYNC),
    Case("start", ("start:admitted",), "the row is there, nobody has been woken", runs=True, modes=ASYNC),
    Case("start", ("start:claimed",), "the start is claimed, the Spawner has not been asked yet", told=1),
    Case("start", ("start:before-spawn",), "the Spawner's first state is stored", told=1),
    Case("start", ("start:certificates",), "the certificates are on disk", told=1),
    Case("start", ("start:after-spawn",), "the server runs, its pid is not stored", told=1),
    Case("start", ("start:running",), "all is stored, the hub has no answer", runs=True),
    Case("start", ("start:after-spawn", "recover:cut-off"), "recovery has marked the row, and dies too", told=1),
    Case("start", ("start:after-spawn", "stop:before-stop"), "recovery was about to stop the server", told=1),
    Case("start", ("start:after-spawn", "stop:after-stop"), "recovery has stopped the server", told=1),
    Case("start", ("start:after-spawn", "stop:before-delete"), "recovery has told the hub", told=2),
    Case("failing start", ("start:failed",), "the server runs, its start has raised", told=1),
    Case("failing start", ("start:failure-stored",), "the row says `stopping`", told=1, modes=ASYNC),
    Case("failing start", ("start:failure-stored",), "the row says `stopping`", modes=SYNC),
    Case("failing start", ("stop:gone",), "the server is stopped, its certificates are there", told=1, modes=ASYNC),
    Case("failing start", ("stop:after-stop",), "the server is stopped, the hub not told yet", told=1, modes=ASYNC),
    Case("failing start", ("stop:before-delete",), "the hub is told, the row still there", told=2, modes=ASYNC),
    Case("failing start", ("stop:deleted",), "the row is gone", told=1, modes=ASYNC),
    Case("failing start", ("stop:deleted",), "the row is gone, the hub has no answer", modes=SYNC),
    Case("stop", ("stop:marked",), "the row says `stopping`"),
    Case("stop", ("stop:before-stop",), "the Spawner is about to be asked"),
    Case("stop", ("stop:gone",), "the server is gone, its hook has not run"),
    Case("stop", ("stop:after-stop",), "the server and its certificates are gone"),
    Case("stop", ("stop:deleted",), "the row is gone, the hub has no answer"),
    Case("failing stop", ("stop:failed",), "the Spawner's `stop` has raised, which is not stored"),
    Case("expiry", ("expire:found",), "the server was found, nothing is marked", modes=ASYNC),
    Case("expiry", ("stop:marked",), "the row says `stopping`", modes=ASYNC),
    Case("expiry", ("stop:before-stop",), "the Spawner is about to be asked", modes=ASYNC),
    Case("expiry", ("stop:after-stop",), "the server is gone, the row still there", modes=ASYNC),
    Case("replacement", ("stop:marked",), "the ended server's row says `stopping`"),
    Case("replacement", ("stop:deleted",), "the ended server's row is gone, the new one not there yet"),
    Case("replacement", ("start:claimed",), "the new server's row is there", told=1),
    Case("tunnel", ("tunnel:before-call",), "the hub has not been asked", runs=True, asked=1, modes=ASYNC),
    Case(
        "tunnel", ("tunnel:after-call",), "the hub has set it up, which is not stored", runs=True, asked=2, modes=ASYNC
    ),
]
"""A new step of a start, stop, expiry or tunnel gets a row here."""
