"""What functions are asked for, whichever cloud brings it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 255
"""So many characters of an option the database stores."""


@dataclass(frozen=True)
class QueueMessage:
    """One message of the worker's queue. ``body`` is None when it is no JSON object."""

    id: str
    body: dict[str, Any] | None


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object that the text is, or None."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def options_fit(options: Mapping[str, object]) -> bool:
    """Have the options of a scheduled job values that can be: ``dry_run`` a bool, others a text the database takes?"""
    return all(
        isinstance(value, bool) if name == "dry_run" else isinstance(value, str) and 0 < len(value) <= _LONGEST
        for name, value in options.items()
    )
