"""The figures as a table; the JSON holds more."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import Any

import psutil

_COLUMNS = ("clients", "call", "candidate", "/s", "p50 ms", "p99 ms", "ping ms", "errors", "cpu ms", "rate", "cpu")
"""The last two are parts: of the base's rate, and of its processor time for one request."""


def machine() -> dict[str, Any]:
    """Where the figures belong to."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": os.getloadavg(),
    }


def table(run: dict[str, Any], base: str) -> str:
    """One database with one number of services: all candidates, and their part of the base's rate."""
    names = [name for name in run["candidates"] if name != base]
    lines = [f"\n{run['database']}, {run['services']} services there, beside {base}\n"]
    lines += [
        "| clients | call | candidate | /s | p50 ms | p99 ms | ping ms | errors | cpu ms | of its rate | of its cpu |"
    ]
    lines += ["|" + " --- |" * 11]
    for clients in run["candidates"][base]["clients"]:
        for call, floor in run["candidates"][base]["clients"][clients].items():
            for name in names:
                row = run["candidates"][name]["clients"][clients][call]
                values = [clients, call, name, row["per_second"], row["p50_ms"], row["p99_ms"], row["longest_ping_ms"]]
                values += [row["errors"], row["cpu_ms"], part(row, floor), cpu_part(row, floor)]
                lines.append("| " + " | ".join(map(str, values)) + " |")
    for name, figures in run["candidates"].items():
        lines.append(f"\n{name}: start-up {figures['start_up_s']} s, RSS {figures['rss_mb']} MB")
        if sweep := figures.get("sweep"):
            lines[-1] += (
                f"; longest /ping while {sweep['services']} services expire: {sweep['longest_ping_ms']} ms"
                f" (quiet: {sweep['longest_quiet_ping_ms']} ms; {sweep['seconds']} s, {sweep['left']} left)"
            )
    return "\n".join(lines)


def part(row: dict[str, Any], floor: dict[str, Any]) -> str:
    """Of all rounds together, with the lowest and highest of one round."""
    if not floor["per_second"]:
        return "-"
    parts = [mine / its for mine, its in zip(row["rounds"], floor["rounds"], strict=True) if its]
    return f"{row['per_second'] / floor['per_second']:.2f} ({min(parts):.2f}-{max(parts):.2f})"


def cpu_part(row: dict[str, Any], floor: dict[str, Any]) -> str:
    """What the rates' part would be if nothing but the processor counted: other work on the machine is not in it."""
    return f"{floor['cpu_ms'] / row['cpu_ms']:.2f}" if row["cpu_ms"] else "-"
