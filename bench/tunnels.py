"""How long a restart of the SSH node is felt: ``python -m bench.tunnels``, 200 services on PostgreSQL.

Until the hub was asked for the last tunnel, from the start of Outpost's processes, and from the first call.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.contract.conftest import config
from tests.support.outpost import OutpostProcess
from tests.support.postgresql import cluster
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

SERVICES = 200
HUB_SECONDS = 0.2
"""How long the hub takes for one; it runs ssh twice."""
_IDLE = 'c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"\n'


def measured(replicas: list[OutpostProcess], hub: RecordingHub, generation: str) -> tuple[float, float, int]:
    """Seconds from the start and from the first call to the last one, and how many calls there were."""
    hub.calls.clear()
    began = time.monotonic()
    for outpost in replicas:
        outpost.launch(OUTPOST_SSH_GENERATION=generation)
    eventually(lambda: hub.told("/setuptunnel"), 60)
    first = time.monotonic()
    eventually(lambda: len(hub.told("/setuptunnel")) >= SERVICES, 60)
    ended = time.monotonic()
    for outpost in replicas:
        outpost.wait()
        outpost.stop()
    return ended - began, ended - first, len(hub.told("/setuptunnel"))


def main() -> None:
    """With one replica, and with two that start at once."""
    with tempfile.TemporaryDirectory() as name, RecordingHub() as hub:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "cluster").mkdir()
        with cluster(folder / "cluster") as servers:
            env = servers.create_database("tunnels") | {"OUTPOST_SSH_GENERATION": "0"}
            first = OutpostProcess(folder, config(_IDLE), env)
            env["OUTPOST_CRYPT_KEY"] = first.env["OUTPOST_CRYPT_KEY"]
            replicas = [first, OutpostProcess(folder, config(_IDLE), env)]
            first.start()
            with first.hub() as calls, ThreadPoolExecutor(8) as threads:
                list(threads.map(lambda number: calls.start(f"s{number}", env=hub.env()), range(SERVICES)))
            first.stop()
            hub.delay_seconds = HUB_SECONDS
            try:
                for generation, some in enumerate((replicas[:1], replicas, replicas[:1], replicas), start=1):
                    start, call, calls_made = measured(some, hub, str(generation))
                    print(f"{len(some)} replicas: {start:.1f} s from the start, {call:.1f} s, {calls_made} calls")
            finally:
                for outpost in replicas:
                    outpost.close()


if __name__ == "__main__":
    main()
