"""Measure servers beside each other: ``python -m bench`` compares Outpost with the floor on SQLite.

``--command old='{python} -m handlers.server --port {port}'`` and ``--url field=http://hub:password@host:8080``
add candidates; ``--base`` names the one whose rates the others are a part of.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.candidates import COMMANDS, Candidate, environment, started
from bench.preload import preload
from bench.report import machine, table
from bench.rounds import PRELOADED, Bounds, measure
from bench.sweep import longest_ping_of_a_sweep
from tests.support.postgresql import Cluster, cluster


def main() -> None:
    """Every database with every number of services, one after the other."""
    arguments = _parser().parse_args()
    results: dict[str, Any] = {"machine": machine(), "arguments": vars(arguments) | {"json": None}, "runs": []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers: Cluster | None = None
        if "postgresql" in arguments.databases:
            Path(folder).chmod(0o755)
            (Path(folder) / "cluster").mkdir()
            servers = stack.enter_context(cluster(Path(folder) / "cluster"))
        for database in arguments.databases:
            for services in arguments.services:
                run = _run(arguments, servers if database == "postgresql" else None, services)
                results["runs"].append({"database": database, "services": services, "candidates": run})
                print(table(results["runs"][-1], arguments.base), flush=True)
                if arguments.json:
                    arguments.json.write_text(json.dumps(results, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--command", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=URL", help="with user and password")
    parser.add_argument("--base", default="floor")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite"])
    parser.add_argument("--services", type=int, nargs="+", default=[0], help="already there; not for --url")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200, help="of each call in each round")
    parser.add_argument("--seconds", type=float, default=5, help="after which a call's round ends")
    parser.add_argument("--expire", type=int, default=400, help="services that expire at once; 0 for no such sweep")
    parser.add_argument("--json", type=Path)
    return parser


def _run(arguments: argparse.Namespace, servers: Cluster | None, services: int) -> dict[str, Any]:
    with _served(arguments, servers, services) as candidates:
        figures: dict[str, dict[str, Any]] = {c.name: {"start_up_s": c.start_up_s, "clients": {}} for c in candidates}
        bounds = Bounds(arguments.requests, arguments.seconds, services)
        for clients in arguments.clients:
            for name, calls in asyncio.run(measure(candidates, clients, arguments.rounds, bounds)).items():
                figures[name]["clients"][str(clients)] = calls
        for candidate in candidates:
            figures[candidate.name]["rss_mb"] = candidate.rss_mb()
            if candidate.environment and arguments.expire and candidate.name != "floor":
                sweep = longest_ping_of_a_sweep(candidate, arguments.expire)
                figures[candidate.name]["sweep"] = sweep
    return figures


@contextmanager
def _served(arguments: argparse.Namespace, servers: Cluster | None, services: int) -> Iterator[list[Candidate]]:
    """All candidates, at once; each of those started here has a database of its own."""
    commands = {name: COMMANDS[name] for name in arguments.candidates} | _named(arguments.command)
    with ExitStack() as stack:
        candidates = [Candidate(name, url) for name, url in _named(arguments.url).items()]
        for name, command in commands.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            database = servers.create_database(f"{name}_{services}") if servers else {}
            env = environment(folder, database)
            if services:
                preload(env, services, PRELOADED, timedelta(days=1))
            candidates.append(stack.enter_context(started(name, command, env)))
        yield candidates


def _named(pairs: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


if __name__ == "__main__":
    main()
