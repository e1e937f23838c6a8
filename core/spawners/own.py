"""How servers on shared infrastructure are told to be this Outpost's: labels that no other start has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

OUTPOST_LABEL = "outpost.jupyter.org/outpost"
"""Whose a server is: the id in the Outpost's database."""

SERVICE_LABEL = "outpost.jupyter.org/service"
"""Which start it is of: the id of its row."""

IDENTITY_ANNOTATION = "outpost.jupyter.org/identity"
"""For people: hub, name and start id."""


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server with this Outpost's label."""

    service_id: int
    identity: str
    """As it is shown in the log."""
    place: str
    """Where it is, as operators of the infrastructure know it: ``namespace/name``."""
    uid: str
    """No other server ever has it."""
    created: datetime
