"""What the store promises, on both databases."""

from __future__ import annotations

import gc
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet
from sqlalchemy import (
    URL,
    Insert,
    LargeBinary,
    String,
    cast,
    create_engine,
    event,
    insert,
    literal,
    select,
    text,
    update,
)

from core.errors import ConfigError, ServiceExists, ServiceNotFound, StoreUnavailable, Unreadable
from core.model import Body, Identity, Inputs, NewService, Status
from core.ports import Lease, TunnelClaim
from infra import schema
from infra.crypto import Sealer
from infra.database import Database
from infra.store import SqlStore
from infra.tables import UtcDateTime, hubs, services

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SEALER = Sealer(Fernet.generate_key().decode())


def a_service(name: str = "a", hub: str = "hub", **env: str) -> NewService:
    """A service that asks to be admitted."""
    inputs = Inputs(certs={"keyfile": "PEM"}, auth_state={"token": "x"})
    return NewService(Identity(hub, name, "0"), "small", Body(env=env, misc={"a": [1]}), inputs)


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    """A new database with the present schema."""
    made = Database(database_url)
    schema.migrate(made, SEALER)
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> SqlStore:
    """A store whose clock stands still."""
    return SqlStore(database, SEALER, lambda: NOW)


def test_a_service_comes_back_as_it_was_stored(store: SqlStore) -> None:
    admitted = store.admit(a_service(JUPYTERHUB_USER_ID="7"), lease=Lease("me", NOW))
    assert store.find(admitted.identity) == store.load(admitted.id) == admitted
    assert admitted.status is Status.STARTING
    running = store.swap(
        admitted, status=Status.RUNNING, state={"pid": 1}, start_response="http://x:1", end_date=NOW, inputs=Inputs()
    )
    assert running is not None
    assert store.load(admitted.id) == running
    assert (running.state, running.start_response, running.end_date) == ({"pid": 1}, "http://x:1", NOW)


def test_an_identity_is_admitted_once(store: SqlStore) -> None:
    store.admit(a_service())
    with pytest.raises(ServiceExists):
        store.admit(a_service())
    store.admit(a_service(hub="another"))


def test_who_comes_second_changes_nothing(store: SqlStore) -> None:
    seen = store.admit(a_service())
    assert store.swap(seen, status=Status.STARTING) is not None
    assert store.swap(seen, status=Status.STOPPING) is None
    assert store.delete(seen) is False
    assert store.status(seen.id) is Status.STARTING


def test_a_stop_that_is_tried_again_is_as_old_as_when_it_was_asked_for(database: Database) -> None:
    now = [NOW]
    store = SqlStore(database, SEALER, lambda: now[0])
    service = store.admit(a_service())
    store.admit(a_service("other"))
    now[0] = asked = NOW + HOUR
    stopping = store.swap(service, status=Status.STOPPING)
    assert stopping is not None
    now[0] += HOUR
    again = store.swap(stopping, attempts=1)
    assert again is not None
    assert store.swap(again, status=Status.STOPPING, lease_owner="me") is not None  # whoever tries claims it so
    assert sorted((tally.status, tally.number, tally.oldest) for tally in store.tally()) == [
        (Status.PENDING, 1, NOW),
        (Status.STOPPING, 1, asked),
    ]


def test_a_stop_at_the_end_of_a_run_time_is_as_old_as_that_end(store: SqlStore) -> None:
    ended = NOW - HOUR
    running = store.swap(store.admit(a_service()), status=Status.RUNNING, end_date=ended)
    assert running is not None
    assert store.swap(running, status=Status.STOPPING) is not None
    assert [tally.oldest for tally in store.tally()] == [ended]


def test_what_is_gone_is_not_found(store: SqlStore) -> None:
    service = store.admit(a_service())
    assert store.delete(service) is True
    assert store.load(service.id) is None
    assert store.status(service.id) is None
    with pytest.raises(ServiceNotFound):
        store.find(service.identity)


def test_nothing_secret_is_stored_readable(store: SqlStore, database: Database) -> None:
    store.admit(a_service(JUPYTERHUB_API_TOKEN="the-token"))
    with database.read() as db:
        row = str(db.execute(text("SELECT * FROM service")).all())
    assert "the-token" not in row
    assert "PEM" not in row


def test_a_row_that_no_key_opens_is_named_and_lists_go_on(store: SqlStore, database: Database) -> None:
    service = store.admit(a_service())
    other_key = SqlStore(database, Sealer(Fernet.generate_key().decode()), lambda: NOW)
    with pytest.raises(Unreadable, match="service hub/a/0: "):
        other_key.find(service.identity)
    assert [s.identity for s in other_key.list_hub("hub")] == [service.identity]


def test_usage_counts_what_is_not_stopping_by_hub_user_and_flavor(store: SqlStore) -> None:
    for number in range(3):
        store.admit(a_service(f"s{number}", JUPYTERHUB_USER_ID=str(number % 2)))
    stopping = store.admit(a_service("stopping", JUPYTERHUB_USER_ID="0"))
    store.swap(stopping, status=Status.STOPPING)
    store.admit(a_service(hub="another"))
    usage = store.usage("hub", "0")
    assert (usage.hub, usage.user, usage.user_total) == ({"small": 3}, {"small": 2}, 2)
    assert store.usage("hub").hub == {"small": 3}
    assert store.usage("nobody").hub == {}


def test_unattended_is_what_nobody_carries_on(store: SqlStore) -> None:
    rows = {name: store.admit(a_service(name)) for name in ("fresh", "taken", "lost", "due", "later", "running")}
    store.swap(rows["taken"], status=Status.STARTING, lease_owner="x", lease_until=NOW + HOUR)
    store.swap(rows["lost"], status=Status.STARTING, lease_owner="x", lease_until=NOW - HOUR)
    store.swap(rows["due"], status=Status.STOPPING, retry_at=NOW - HOUR)
    store.swap(rows["later"], status=Status.STOPPING, retry_at=NOW + HOUR)
    store.swap(rows["running"], status=Status.RUNNING)
    assert store.unattended(NOW, NOW - HOUR, 10) == [rows["lost"].id, rows["due"].id]
    assert store.unattended(NOW, NOW, 10) == [rows["fresh"].id, rows["lost"].id, rows["due"].id]


def test_a_lease_is_extended_by_its_owner_only(store: SqlStore) -> None:
    service = store.admit(a_service(), lease=Lease("me", NOW))
    assert store.extend_lease(service.id, "me", NOW + HOUR) is True
    assert store.extend_lease(service.id, "you", NOW + HOUR) is False
    assert store.swap(service, status=Status.RUNNING) is not None, "a heartbeat disturbs no swap"


def test_one_replica_has_a_tick_until_its_lease_is_over(store: SqlStore) -> None:
    assert store.take_tick("job", "me", NOW, NOW + HOUR) is True
    assert store.take_tick("job", "you", NOW, NOW + HOUR) is False
    assert store.take_tick("another job", "you", NOW, NOW + HOUR) is True
    assert store.take_tick("job", "me", NOW, NOW + HOUR) is True
    assert store.take_tick("job", "you", NOW + HOUR, NOW + 2 * HOUR) is True


def test_the_ssh_node_restarts_when_its_generation_changes(store: SqlStore) -> None:
    assert store.ssh_generation() is None
    assert [store.ssh_restarted(generation) for generation in ("1", "1", "2")] == [True, False, True]
    assert store.ssh_generation() == "2"


def test_tunnels_are_behind_when_they_are_older_than_the_ssh_node(store: SqlStore) -> None:
    rows = {}
    for name in ("before the first", "first", "second", "starting"):
        if name != "before the first":
            store.ssh_restarted(name)
        rows[name] = store.admit(a_service(name))
        if name != "starting":
            store.swap(rows[name], status=Status.RUNNING)
    store.ssh_restarted("second")
    expected = [(rows[name].id, "hub", False) for name in ("before the first", "first")]
    assert store.tunnels_behind("second", NOW, 0, 10) == expected
    assert store.tunnels_behind("second", NOW, expected[0][0], 10) == expected[1:]
    assert store.tunnels_behind("second", NOW, 0, 1) == expected[:1]
    store.tunnels_set_up([row_id for row_id, _, _ in expected], "second")
    store.tunnels_set_up([], "second")
    assert store.tunnels_behind("second", NOW, 0, 10) == []


def test_a_tunnel_is_claimed_by_one_until_its_claim_ends(store: SqlStore) -> None:
    store.ssh_restarted("1")
    service = store.admit(a_service())
    store.swap(service, status=Status.RUNNING)
    assert store.claim_tunnel(service.id, "1", NOW, NOW + HOUR) is None, "its tunnel is there"
    store.ssh_restarted("2")
    assert store.claim_tunnel(service.id, "2", NOW, NOW + HOUR) == TunnelClaim(0, None)
    assert store.claim_tunnel(service.id, "2", NOW, NOW + HOUR) is None
    assert store.tunnels_behind("2", NOW, 0, 10) == []
    assert store.claim_tunnel(service.id, "2", NOW + HOUR, NOW + 2 * HOUR) == TunnelClaim(0, None)
    store.tunnel_later(service.id, "2", NOW + 3 * HOUR, TunnelClaim(4, "HTTP 500"))
    assert store.tunnels_behind("2", NOW + 2 * HOUR, 0, 10) == []
    assert store.tunnels_behind("2", NOW + 3 * HOUR, 0, 10) == [(service.id, "hub", True)]
    assert store.claim_tunnel(service.id, "2", NOW + 3 * HOUR, NOW + 4 * HOUR) == TunnelClaim(4, "HTTP 500")


def test_a_claim_of_another_generation_holds_nobody_up(store: SqlStore) -> None:
    service = store.admit(a_service())
    store.swap(service, status=Status.RUNNING)
    store.ssh_restarted("1")
    assert store.claim_tunnel(service.id, "1", NOW, NOW + HOUR) == TunnelClaim()
    store.tunnel_later(service.id, "1", NOW + HOUR, TunnelClaim(4, "HTTP 500"))
    store.ssh_restarted("2")
    assert store.claim_tunnel(service.id, "1", NOW + HOUR, NOW + 2 * HOUR) is None, "the node has restarted since"
    assert store.claim_tunnel(service.id, "2", NOW, NOW + HOUR) == TunnelClaim(0, "HTTP 500")


def test_a_tick_that_is_released_is_free(store: SqlStore) -> None:
    assert store.take_tick("job", "me", NOW, NOW + HOUR) is True
    store.release_tick("job")
    assert store.take_tick("job", "you", NOW, NOW + HOUR) is True


def test_noting_a_tunnel_disturbs_no_swap(store: SqlStore) -> None:
    service = store.admit(a_service())
    store.tunnels_set_up([service.id], "1")
    assert store.swap(service, status=Status.RUNNING) is not None


def test_identities_are_told_of_what_is_there_however_many_are_asked_for(store: SqlStore) -> None:
    service = store.admit(a_service())
    assert store.identities([*range(1000, 4000), service.id]) == [service.identity]
    assert store.identities([]) == []


def running_services(number: int) -> Insert:
    """The statement that inserts so many of them."""
    numbers = select(literal(1).label("n")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < number))
    values: dict[Any, Any] = {
        services.c.name: cast(numbers.c.n, String),
        services.c.jupyterhub_username: literal("hub"),
        services.c.status: literal(Status.RUNNING.value),
        services.c.start_date: literal(NOW, UtcDateTime),
        services.c.last_update: literal(NOW, UtcDateTime),
        services.c.body: literal(b"", LargeBinary),
    }
    return insert(services).from_select(list(values), select(*values.values()))


def test_an_expiry_sweep_over_100_000_services_reads_an_index(store: SqlStore, database: Database) -> None:
    with database.write() as db:
        db.execute(insert(hubs).values(name="hub"))
        db.execute(running_services(100_000))
        db.execute(update(services).where(services.c.id % 2 == 0).values(end_date=NOW + HOUR))
        db.execute(update(services).where(services.c.id <= 10).values(end_date=NOW - HOUR))
        db.execute(text("ANALYZE"))
    assert len(store.expired(NOW, 200)) == 10
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    query = "SELECT id FROM service WHERE status = 'running' AND end_date <= '2030-01-01' ORDER BY end_date LIMIT 200"
    with database.read() as db:
        plan = str(db.execute(text(f"{explain} {query}")).all())
    assert "service_end_date" in plan


def test_the_revisions_the_code_knows_are_the_migrations_there_are() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == schema.REVISIONS


def test_a_database_of_a_newer_outpost_is_left_alone(database: Database) -> None:
    with database.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema.schema_state(database) == "newer"
    with pytest.raises(ConfigError, match="newer Outpost"):
        schema.migrate(database, SEALER)


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_a_migration_waits_for_another_one_longer_than_a_statement_may_take(
    database: Database, database_url: URL
) -> None:
    impatient, begun = Database(database_url), threading.Event()
    impatient.engine = create_engine(database_url, connect_args={"timeout": 1})
    event.listen(impatient.engine, "before_cursor_execute", lambda *_: begun.set())
    with ThreadPoolExecutor() as pool:
        with database.write() as other:
            other.execute(text(f"SELECT pg_advisory_xact_lock({schema._ONE_MIGRATION_AT_A_TIME})"))
            waiting = pool.submit(schema.migrate, impatient, SEALER)
            begun.wait(10)
            assert wait([waiting], 2).not_done
        waiting.result(10)
    impatient.close()


def test_the_migrated_schema_is_that_of_the_tables(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from infra.tables import metadata

    with database.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []


def test_without_a_database_the_error_says_so() -> None:
    away = Database(URL.create("postgresql+pg8000", "u", "secret-password", "127.0.0.1", 1, "d"))
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        SqlStore(away, SEALER, lambda: NOW).list_hub("hub")
    assert "secret-password" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pg8000 does not close its socket then
def test_a_database_that_hangs_up_is_away() -> None:
    def hang_up() -> None:
        connection, _ = listening.accept()
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, as by a crash
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        thread.submit(hang_up)
        away = Database(URL.create("postgresql+pg8000", "u", "p", "127.0.0.1", listening.getsockname()[1], "d"))
        with pytest.raises(StoreUnavailable, match="does not answer"):
            SqlStore(away, SEALER, lambda: NOW).list_hub("hub")
    gc.collect()


def test_a_write_that_waits_too_long_for_another_one_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.database._BUSY_SECONDS", 0.05)
    database = Database(URL.create("sqlite", database=str(tmp_path / "busy.sqlite")))
    with database.write(), pytest.raises(StoreUnavailable, match="busy with another write"), database.write():
        pass
    with database.write() as db:
        assert db.scalar(text("SELECT 1")) == 1
    database.close()
