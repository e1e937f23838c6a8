"""The dispatcher of a long-lived process: work goes on in tasks of its own event loop."""

from __future__ import annotations

from collections.abc import Sequence

from core.background import Background
from core.ports import Work


class InProcessDispatcher:
    """Implements :class:`core.ports.Dispatcher`. What dies with the process is found again by recover."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._work: Work | None = None

    def serve(self, work: Work) -> None:
        """Say who carries rows on; before that, wake-ups are left to recover."""
        self._work = work

    async def wake(self, service_ids: Sequence[int]) -> None:
        """Carry these rows on beside the caller."""
        if self._work is not None:
            for service_id in service_ids:
                self._background.start(self._carry_on(self._work, service_id), f"service {service_id}")

    async def _carry_on(self, work: Work, service_id: int) -> None:
        await work(service_id)
