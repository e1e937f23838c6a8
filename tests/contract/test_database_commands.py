"""``migrate``, ``rotate-key`` and what a start does to the database: exit codes and the one line that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL, text

from core.model import Body, Identity, Inputs, NewService
from infra.crypto import Sealer
from infra.database import Database
from infra.schema import migrate, schema_state
from infra.store import SqlStore
from infra.wiring import utc_now
from tests.support.outpost import ROOT, OutpostProcess
from tests.support.upstream import UpstreamDatabase

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """A database with nothing in it."""
    return URL.create("sqlite", database=str(tmp_path / "outpost.sqlite"))


@pytest.fixture
def database(url: URL) -> Any:
    """The same database."""
    made = Database(url)
    yield made
    made.close()


def run(url: URL, *arguments: str, key: str = OLD, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing but the database and the keys in its environment."""
    only = {"PATH": os.environ["PATH"], "OUTPOST_CRYPT_KEY": key, "SQL_DATABASE_URL": str(url.database)}
    return subprocess.run(
        [sys.executable, "-m", "handlers.server", *arguments],
        env=only | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def serve(url: URL, **env: str) -> subprocess.CompletedProcess[str]:
    """A start that fails."""
    return run(url, "--host", "127.0.0.1", "--port", "0", usernames="hub1", passwords="pw", **env)


def told(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line for the operator."""
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("outpost: ")]
    return line


def mark_newer(database: Database) -> None:
    """As if a later version had been here."""
    migrate(database, Sealer(OLD))
    with database.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def test_migrate_needs_the_database_and_the_key_only(url: URL, database: Database) -> None:
    ended = run(url, "migrate")
    assert (ended.returncode, ended.stdout) == (0, "the database's schema is current (0004)\n")
    assert schema_state(database) == "current"


def test_migrate_says_what_it_converted(url: URL, database: Database) -> None:
    with UpstreamDatabase(url, "1.0") as old:
        old.add("a")
        old.add("b", start_pending=True)
        ended = run(url, "migrate", key=old.key)
    assert ended.returncode == 0
    assert "the database of an earlier Outpost is upgraded: 1 running, 1 starting" in ended.stderr
    assert schema_state(database) == "current"


@pytest.mark.parametrize("command", ["migrate", "rotate-key"])
def test_a_key_is_needed(url: URL, command: str) -> None:
    ended = run(url, command, key="")
    assert ended.returncode == 2
    assert "OUTPOST_CRYPT_KEY: not set" in told(ended)


@pytest.mark.parametrize("how", ["auto", "never"])
def test_a_start_on_a_newer_database_ends_with_one_line(url: URL, database: Database, how: str) -> None:
    mark_newer(database)
    ended = serve(url, OUTPOST_MIGRATE=how)
    assert ended.returncode == 2
    assert told(ended) == "outpost: the database was migrated by a newer Outpost; run that version, or a newer one"


@pytest.mark.parametrize("command", ["migrate", "rotate-key"])
def test_commands_leave_a_newer_database_alone(url: URL, database: Database, command: str) -> None:
    mark_newer(database)
    ended = run(url, command)
    assert ended.returncode == 2
    assert "newer Outpost" in told(ended)
    assert schema_state(database) == "newer"


@pytest.mark.parametrize("state", ["absent", "upstream", "older"])
def test_a_start_that_must_not_migrate_names_the_command(url: URL, database: Database, state: str) -> None:
    if state == "upstream":
        UpstreamDatabase(url).__exit__(None, None, None)
    if state == "older":
        migrate(database, Sealer(OLD))
        with database.write() as db:
            db.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    ended = serve(url, OUTPOST_MIGRATE="never")
    assert ended.returncode == 2
    assert told(ended) == (
        f"outpost: the database's schema is '{state}', not 'current'; run: python -m handlers.server migrate"
    )
    assert schema_state(database) == state


def test_a_start_that_must_not_migrate_serves_a_current_database(tmp_path: Path, url: URL, database: Database) -> None:
    migrate(database, Sealer(OLD))
    outpost = OutpostProcess(tmp_path, env={"OUTPOST_MIGRATE": "never", "SQL_DATABASE_URL": str(url.database)})
    try:
        assert httpx.get(f"{outpost.start().url}/health").json()["schema"] == "current"
    finally:
        outpost.close()


@pytest.mark.parametrize(
    ("statement", "state", "status"),
    [
        ("DROP TABLE alembic_version", "upstream", 503),
        ("UPDATE alembic_version SET version_num = '0001'", "older", 503),
        ("UPDATE alembic_version SET version_num = '9999'", "newer", 200),  # while an upgrade rolls out
    ],
)
def test_health_says_which_schema_the_database_has(
    tmp_path: Path, url: URL, database: Database, statement: str, state: str, status: int
) -> None:
    outpost = OutpostProcess(tmp_path, env={"SQL_DATABASE_URL": str(url.database)})
    try:
        outpost.start()
        with database.write() as db:
            db.execute(text(statement))
        answer = httpx.get(f"{outpost.url}/health")
    finally:
        outpost.close()
    assert (answer.status_code, answer.json()["schema"]) == (status, state)


def test_how_to_migrate_is_one_of_two_words(url: URL) -> None:
    ended = serve(url, OUTPOST_MIGRATE="sometimes")
    assert ended.returncode == 2
    assert told(ended) == "outpost: OUTPOST_MIGRATE: Input should be 'auto' or 'never'"


def add(database: Database, key: str, name: str) -> None:
    """A service under that key."""
    store = SqlStore(database, Sealer(key), utc_now)
    store.admit(NewService(Identity("hub", name, "0"), None, Body(), Inputs()))


def test_rotate_key_says_what_it_did(url: URL, database: Database) -> None:
    migrate(database, Sealer(OLD))
    add(database, OLD, "a")
    add(database, NEW, "b")
    ended = run(url, "rotate-key", key=f"{NEW};{OLD}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "1 rows re-encrypted, 1 already with the first key, 0 unreadable\n"


def test_rotate_key_names_what_it_cannot_read_and_fails(url: URL, database: Database) -> None:
    migrate(database, Sealer(OLD))
    add(database, Fernet.generate_key().decode(), "lost")
    ended = run(url, "rotate-key", key=f"{NEW};{OLD}")
    assert ended.returncode == 1
    assert told(ended).startswith("outpost: service hub/lost/0: stored data cannot be read with any key")
    assert ended.stdout == "0 rows re-encrypted, 0 already with the first key, 1 unreadable\n"


def test_rotate_key_does_not_migrate(url: URL, database: Database) -> None:
    ended = run(url, "rotate-key")
    assert ended.returncode == 2
    assert "run: python -m handlers.server migrate" in told(ended)
    assert schema_state(database) == "absent"
