"""How this Outpost's servers are told on infrastructure that it shares with others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server that is marked as this Outpost's."""

    service_id: int
    """The id of the row that its start had."""
    identity: str
    """Whose server it is, as the log says it."""
    place: str
    """Where it is, as operators of the infrastructure know it, for example ``namespace/name``."""
    uid: str
    """No other server ever has it."""
    created: datetime
