"""What Outpost writes on its pods, so that they are found again: by whose they are, and by which start made them."""

from __future__ import annotations

import json

from core.model import JsonDict, Service

OUTPOST_LABEL = "hub.jupyter.org/outpost"
"""On every pod; its value is the id of the Outpost that made it."""

MARK_LABEL = "hub.jupyter.org/outpost-mark"
"""On every pod; its value is the mark of the start that made it, which nothing else has."""

SERVICE_ANNOTATION = "hub.jupyter.org/outpost-service"
"""On every pod: whose server it is, as JSON with ``hub``, ``user``, ``name`` and ``start_id``."""

DEFAULT_OUTPOST_ID = "outpost"


def service_annotation(service: Service) -> str:
    """The value of ``SERVICE_ANNOTATION`` for a service."""
    hub, name, start_id = service.identity
    whose = {"hub": hub, "user": service.body.user_name, "name": name, "start_id": start_id}
    return json.dumps(whose, sort_keys=True)


def labels(outpost_id: str, mark: str) -> dict[str, str]:
    """The labels of a pod that one start makes."""
    return {OUTPOST_LABEL: outpost_id, MARK_LABEL: mark}


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
