"""What ``/metrics`` costs: ``python -m bench.scrape`` scrapes an Outpost among many services, on both databases.

*fresh* reads the database, which happens at most once in five seconds; *cached* is a scrape within them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import httpx

from bench.candidates import COMMANDS, Candidate, environment, started
from bench.preload import preload
from infra.exposition import CACHED
from infra.metrics import Metrics
from tests.support.postgresql import cluster

_COUNTED = 100_000


def main() -> None:
    """One line a database, and one for what counting adds to a request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--fresh", type=int, default=8, help="scrapes that read the database, one in five seconds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, cluster(_folder(folder, "cluster")) as servers:
        for name, database in (("sqlite", {}), ("postgresql", servers.create_database("scrape"))):
            print(name, _measure(_folder(folder, name), database, arguments.services, arguments.fresh))
    print(f"counting a request: {_count_us():.1f} us")


def _folder(parent: str, name: str) -> Path:
    Path(parent).chmod(0o755)
    made = Path(parent) / name
    made.mkdir()
    return made


def _measure(folder: Path, database: Mapping[str, str], services: int, fresh: int) -> str:
    env = environment(folder, database)
    preload(env, services, "service", timedelta(hours=1))
    with started("outpost", COMMANDS["outpost"], env) as candidate, httpx.Client(timeout=30) as client:
        read, cached, size = [], [], 0
        for _ in range(fresh):
            time.sleep(CACHED.total_seconds() + 0.1)
            took, size = _scrape(client, candidate)
            read.append(took)
            cached += [_scrape(client, candidate)[0] for _ in range(20)]
    medians = f"fresh {statistics.median(read):.1f} ms, cached {statistics.median(cached):.1f} ms"
    return f"{services} services: {medians} (longest {max(read):.1f}), {size} bytes"


def _scrape(client: httpx.Client, candidate: Candidate) -> tuple[float, int]:
    began = time.perf_counter()
    answer = client.get(f"{candidate.url}/metrics")
    return (time.perf_counter() - began) * 1000, len(answer.raise_for_status().content)


def _count_us() -> float:
    metrics = Metrics("", ["hub"])
    began = time.perf_counter()
    for _ in range(_COUNTED):
        metrics.request("poll", 200, 0.001)
        metrics.polled("hub", "running")
    return (time.perf_counter() - began) / _COUNTED * 1e6


if __name__ == "__main__":
    main()
