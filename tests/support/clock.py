"""Time that passes only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """A :class:`core.ports.Clock` that stands still."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The moment it stands at."""
        return self.now

    def forward(self, **time: float) -> None:
        """Later, by that much: ``seconds=59``."""
        self.now += timedelta(**time)


class RunningClock(Clock):
    """The machine's clock, which a test may put forward: for what others date as well."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        """The moment it is, and what it was put forward."""
        return datetime.now(UTC) + self._ahead

    def forward(self, **time: float) -> None:
        """Further ahead, by that much."""
        self._ahead += timedelta(**time)
