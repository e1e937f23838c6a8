"""Measure Outpost beside the floor: ``python -m bench [--clients 1 8 32 128] [--requests 400] [--json FILE]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from cryptography.fernet import Fernet

from bench.client import Connection, load

CONFIG = """
c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"
c.JupyterHubOutpost.log_level = "WARN"
c.JupyterHubOutpost.flavors = {"small": -1}
"""
CANDIDATES = {
    "outpost": ["-m", "handlers.server", "--host", "127.0.0.1", "--port"],
    "floor": ["-m", "uvicorn", "bench.floor:app", "--no-access-log", "--host", "127.0.0.1", "--port"],
}
USER, PASSWORD = "hub", "password"


@contextmanager
def served(candidate: str, port: int) -> Iterator[psutil.Process]:
    """A candidate on a new SQLite database (or on the one that ``SQL_*`` names), until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "outpost_config.py"
        config.write_text(CONFIG)
        env = os.environ | {
            "OUTPOST_CONFIG_FILE": str(config),
            "OUTPOST_CRYPT_KEY": Fernet.generate_key().decode(),
            "usernames": USER,
            "passwords": PASSWORD,
            "SQL_DATABASE_URL": f"{folder}/bench.sqlite",
            "LOG_LEVEL": "warning",
        }
        process = subprocess.Popen([sys.executable, *CANDIDATES[candidate], str(port)], env=env)
        try:
            wait_for(f"http://127.0.0.1:{port}/ping")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def wait_for(url: str) -> None:
    """Until it answers, 30 seconds at most."""
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


async def measure(url: str, clients: int, requests: int) -> dict[str, dict[str, float]]:
    """All calls in the order of a server's life."""

    def connect() -> Connection:
        return Connection(url, USER, PASSWORD)

    async def start(c: Connection, number: int) -> int:
        return await c.call("POST", "/services", {"name": f"s{number}", "flavor": "small", "env": ENV})

    async def poll(c: Connection, number: int) -> int:
        return await c.call("GET", f"/services/s{number}/0")

    async def list_(c: Connection, number: int) -> int:
        return await c.call("GET", "/services")

    async def flavors(c: Connection, number: int) -> int:
        return await c.call("GET", "/flavors")

    async def stop(c: Connection, number: int) -> int:
        return await c.call("DELETE", f"/services/s{number}/0")

    calls = {"start": start, "poll": poll, "list": list_, "flavors": flavors, "stop": stop}
    counts = {"list": max(requests // 8, clients)}
    return {
        name: (await load(connect, clients, counts.get(name, requests), call)).row() for name, call in calls.items()
    }


ENV = {"JUPYTERHUB_USER": "alice", "JUPYTERHUB_USER_ID": "1", "JUPYTERHUB_API_TOKEN": "0123456789abcdef" * 2}


def run(candidate: str, port: int, clients: list[int], requests: int) -> dict[str, Any]:
    """One candidate's figures."""
    began = time.perf_counter()
    with served(candidate, port) as process:
        figures: dict[str, Any] = {"start_up_s": round(time.perf_counter() - began, 2)}
        for number in clients:
            figures[str(number)] = asyncio.run(measure(f"http://127.0.0.1:{port}", number, requests))
        figures["rss_mb"] = round(process.memory_info().rss / 1e6)
    return figures


def table(results: dict[str, Any], clients: list[int]) -> str:
    """Rates, and Outpost's part of the floor's."""
    lines = ["| clients | call | outpost/s | p50 ms | p99 ms | errors | floor/s | part |", "|" + " --- |" * 8]
    for number in map(str, clients):
        for call, row in results["outpost"][number].items():
            floor = results["floor"][number][call]["per_second"]
            part = row["per_second"] / floor if floor else 0.0
            values = (row["per_second"], row["p50_ms"], row["p99_ms"], row["errors"], floor, f"{part:.2f}")
            lines.append(f"| {number} | {call} | " + " | ".join(map(str, values)) + " |")
    for name in ("start_up_s", "rss_mb"):
        lines.append(f"\n{name}: outpost {results['outpost'][name]}, floor {results['floor'][name]}")
    return "\n".join(lines)


def main() -> None:
    """The candidates take turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--requests", type=int, default=400, help="of each call, for each number of clients")
    parser.add_argument("--port", type=int, default=18181)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {name: run(name, arguments.port, arguments.clients, arguments.requests) for name in CANDIDATES}
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    print(table(results, arguments.clients))


if __name__ == "__main__":
    main()
