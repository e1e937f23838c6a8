"""What Outpost writes on its pods, so that they are found again: by whose they are, and by which start made them."""

from __future__ import annotations

import json

from core.model import Identity, JsonDict, Service

OUTPOST_LABEL = "hub.jupyter.org/outpost"
"""On every pod; its value is the id of the Outpost that made it, which comes with its database."""

ROW_LABEL = "hub.jupyter.org/outpost-row"
"""On every pod; its value is the id of the row of the start that made it."""

MARK_LABEL = "hub.jupyter.org/outpost-mark"
"""On every pod; its value is the mark of the start that made it, which nothing else has."""

SERVICE_ANNOTATION = "hub.jupyter.org/outpost-service"
"""On every pod: whose server it is, as JSON with ``hub``, ``user``, ``name`` and ``start_id``."""


def service_annotation(service: Service) -> str:
    """The value of ``SERVICE_ANNOTATION`` for a service."""
    hub, name, start_id = service.identity
    whose = {"hub": hub, "user": service.body.user_name, "name": name, "start_id": start_id}
    return json.dumps(whose, sort_keys=True)


def labels(outpost_id: str, row: int, mark: str) -> dict[str, str]:
    """The labels of a pod that one start makes."""
    return {OUTPOST_LABEL: outpost_id, ROW_LABEL: str(row), MARK_LABEL: mark}


def row(pod: JsonDict) -> int | None:
    """The id of the row that a pod was made for; None when it does not say."""
    value = str((pod["metadata"].get("labels") or {}).get(ROW_LABEL, ""))
    return int(value) if value.isdecimal() else None


def owner_of(annotation: str | None) -> tuple[str, str, str] | None:
    """Hub, user and server name out of a value of ``SERVICE_ANNOTATION``; None when it says nothing."""
    try:
        whose = json.loads(annotation or "")
        return str(whose["hub"]), str(whose["user"]), str(whose["name"])
    except (ValueError, KeyError, TypeError):
        return None


def owner(pod: JsonDict) -> tuple[str, str, str] | None:
    """Hub, user and server name of a pod; None when no Outpost has made it."""
    return owner_of((pod["metadata"].get("annotations") or {}).get(SERVICE_ANNOTATION))


def shown(pod: JsonDict) -> str:
    """Whose server a pod is, for people."""
    try:
        whose = json.loads((pod["metadata"].get("annotations") or {})[SERVICE_ANNOTATION])
        return str(Identity(str(whose["hub"]), str(whose["name"]), str(whose["start_id"])))
    except (ValueError, KeyError, TypeError):
        return "a server of nobody knows whom"
