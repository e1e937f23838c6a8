"""What a rotation of the key promises, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL, Connection, text

from core.errors import Unreadable
from core.model import Body, Identity, Inputs, NewService, Service, Status
from infra import schema
from infra.crypto import Sealer
from infra.database import Database
from infra.rotate import rotate_key
from infra.store import SqlStore

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
BOTH = Sealer(f"{NEW};{OLD}")


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    """A new database with the present schema."""
    made = Database(database_url)
    schema.migrate(made, BOTH)
    yield made
    made.close()


def store(database: Database, keys: str) -> SqlStore:
    """The store of an Outpost with these keys."""
    return SqlStore(database, Sealer(keys), lambda: NOW)


def add(database: Database, keys: str, name: str, hub: str = "hub") -> Service:
    """A running service with something in every encrypted column."""
    inputs = Inputs(auth_state={"token": name})
    mine = store(database, keys)
    admitted = mine.admit(NewService(Identity(hub, name, "0"), None, Body(env={"NAME": name}), inputs))
    running = mine.swap(admitted, status=Status.RUNNING, state={"pid": 1}, start_response="http://x:1")
    assert running is not None
    return running


def test_afterwards_the_old_key_is_not_needed(database: Database) -> None:
    services = [add(database, OLD, f"s{number}") for number in range(450)]
    assert str(rotate_key(database, BOTH)) == "450 rows re-encrypted, 0 already with the first key, 0 unreadable"
    assert [store(database, NEW).load(service.id) for service in services] == services
    with pytest.raises(Unreadable):
        store(database, OLD).load(services[0].id)


def test_repeated_it_changes_nothing(database: Database) -> None:
    add(database, OLD, "a")
    add(database, NEW, "b")
    assert str(rotate_key(database, BOTH)) == "1 rows re-encrypted, 1 already with the first key, 0 unreadable"
    before = stored(database)
    assert str(rotate_key(database, BOTH)) == "0 rows re-encrypted, 2 already with the first key, 0 unreadable"
    assert stored(database) == before


def stored(database: Database) -> list[Any]:
    """All that is stored of all services."""
    with database.read() as db:
        return list(db.execute(text("SELECT * FROM service ORDER BY id")).all())


def test_a_row_that_only_partly_has_the_first_key_is_renewed(database: Database) -> None:
    service = add(database, OLD, "a")
    assert store(database, f"{NEW};{OLD}").swap(service, state={"pid": 2}) is not None
    assert rotate_key(database, BOTH).renewed == 1
    renewed = store(database, NEW).load(service.id)
    assert renewed is not None
    assert (renewed.state, renewed.body) == ({"pid": 2}, service.body)


def test_a_row_no_key_opens_is_named_and_left_alone(database: Database) -> None:
    add(database, OLD, "a")
    add(database, LOST, "lost", hub="hub2")
    half = add(database, OLD, "half")
    assert store(database, LOST).swap(half, state={"pid": 2}) is not None
    before = {row.name: row for row in stored(database)}
    rotation = rotate_key(database, BOTH)
    assert (rotation.renewed, rotation.current) == (1, 0)
    assert [row.split(": ")[0] for row in rotation.unreadable] == ["service hub2/lost/0", "service hub/half/0"]
    after = {row.name: row for row in stored(database)}
    assert (after["lost"], after["half"]) == (before["lost"], before["half"])


def test_only_what_is_encrypted_changes(database: Database) -> None:
    service = add(database, OLD, "a")
    rotate_key(database, BOTH)
    assert store(database, NEW).load(service.id) == service, "its version and dates too"


def test_a_swap_that_began_before_the_rotation_succeeds_after_it(database: Database) -> None:
    seen = add(database, OLD, "a")
    rotate_key(database, BOTH)
    swapped = store(database, f"{NEW};{OLD}").swap(seen, state={"pid": 2})
    assert swapped is not None
    assert store(database, NEW).load(seen.id) == swapped


class Overtaken(Database):
    """The same database, where somebody else is done right before each write."""

    def __init__(self, database: Database, somebody: Callable[[], None]) -> None:
        vars(self).update(vars(database))
        self._somebody = somebody

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that comes late."""
        self._somebody()
        with super().write() as connection:
            yield connection


def test_a_swap_during_the_rotation_is_not_overwritten(database: Database) -> None:
    untouched, changing, ending = (add(database, OLD, name) for name in "abc")
    running = store(database, f"{NEW};{OLD}")
    swapped: list[Service | None] = []

    def somebody() -> None:
        if not swapped:
            swapped.append(running.swap(changing, state={"pid": 2}, start_response="http://y:2"))
            assert running.delete(ending)

    rotation = rotate_key(Overtaken(database, somebody), BOTH)
    assert (rotation.renewed, rotation.current, rotation.unreadable) == (2, 0, [])
    afterwards = store(database, NEW)
    assert [afterwards.load(s.id) for s in (untouched, changing, ending)] == [untouched, swapped[0], None]
