"""Metrics as CloudWatch's embedded format: a line of the log that CloudWatch counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

NAMESPACE = "Outpost"

_UNITS = {"seconds": "Seconds"}


def line(dimensions: Mapping[str, str], values: Mapping[str, float], now: datetime, request_id: str = "") -> str:
    """One line. ``values`` are counts, but for ``seconds``; ``dimensions`` must have few different values."""
    metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
    about = {
        "Timestamp": int(now.timestamp() * 1000),
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}],
    }
    return json.dumps({"_aws": about, **dimensions, **values, "request_id": request_id})
