"""The key is changed while Outpost works."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL

from infra.crypto import Sealer
from infra.database import Database
from infra.rotate import rotate_key
from tests.slow.conftest import Make
from tests.support.outpost import ROOT, HubCalls, servers_in

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def work_on_one(hub: HubCalls, name: str, rounds: int) -> None:
    """Start, poll and stop a service again and again, and leave it running."""
    for turn in range(rounds):
        assert hub.start(name, asynchronous=turn % 2 == 1).is_success
        assert hub.poll(name).json()["status"] is None
        stopped = hub.stop(name)
        assert stopped.is_success, stopped.text
    assert hub.start(name).is_success


def rotate_until(done: threading.Event, url: URL) -> int:
    """Change all rows from one key to the other and back; how many times a row was changed."""
    database = Database(url)
    renewed, turn = 0, 0
    while not done.is_set():
        first, second = (NEW, OLD) if turn % 2 else (OLD, NEW)
        rotation = rotate_key(database, Sealer(f"{first};{second}"))
        assert rotation.unreadable == []
        renewed, turn = renewed + rotation.renewed, turn + 1
    database.close()
    return renewed


@pytest.mark.slow
def test_the_old_key_can_go_after_a_rotation_under_load(
    make: Make, database: Mapping[str, str], database_url: URL
) -> None:
    outpost, done = make().start(OUTPOST_CRYPT_KEY=OLD), threading.Event()
    with outpost.hub() as hub, outpost.hub() as second, outpost.hub() as third, ThreadPoolExecutor() as pool:
        for number in range(5):
            assert hub.start(f"old{number}").is_success
        outpost.stop()
        outpost.start(OUTPOST_CRYPT_KEY=f"{NEW};{OLD}")

        rotating = pool.submit(rotate_until, done, database_url)
        working = [pool.submit(work_on_one, calls, f"busy{n}", 8) for n, calls in enumerate((hub, second, third))]
        try:
            for work in working:
                work.result()
        finally:
            done.set()
        assert rotating.result() > 20, "rows were changed under load"

        ended = subprocess.run(
            [sys.executable, "-m", "handlers.server", "rotate-key"],
            env={"PATH": outpost.env["PATH"], "OUTPOST_CRYPT_KEY": f"{NEW};{OLD}", **database},
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (ended.returncode, ended.stderr) == (0, "")
        outpost.stop()

        outpost.start(OUTPOST_CRYPT_KEY=NEW)
        names = [service["name"] for service in hub.services()]
        assert len(names) == len(servers_in(outpost.folder)) == 8
        for name in names:
            assert hub.poll(name).json()["status"] is None
            assert hub.stop(name).is_success
        assert hub.services() == []
    assert servers_in(outpost.folder) == []
