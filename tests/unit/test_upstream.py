"""What becomes of the rows of the Outpost before this one, on both databases."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import URL, text

from core.errors import ConfigError, Unreadable
from core.model import Body, Identity, Inputs, NewService, Service, Status
from infra import schema, upstream
from infra.crypto import Sealer
from infra.database import Database
from infra.store import SqlStore
from infra.tables import metadata
from tests.support.upstream import Generation, UpstreamDatabase

NOW = datetime(2030, 1, 1, tzinfo=UTC)

only_postgresql = pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    """The same database, as Outpost sees it."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture(params=["1.0", "2"])
def generation(request: pytest.FixtureRequest) -> Generation:
    """Which of the old versions made the database."""
    chosen: Generation = request.param
    return chosen


@pytest.fixture
def old(database_url: URL, generation: Generation) -> Iterator[UpstreamDatabase]:
    """An old database without rows."""
    with UpstreamDatabase(database_url, generation) as made:
        yield made


def upgraded(database: Database, old: UpstreamDatabase) -> SqlStore:
    """The store after the upgrade."""
    sealer = Sealer(old.key)
    schema.migrate(database, sealer)
    return SqlStore(database, sealer, lambda: NOW)


def loaded(store: SqlStore, row_id: int) -> Service:
    """The service that row has become."""
    service = store.load(row_id)
    assert service is not None
    return service


def test_a_running_service_is_the_same_afterwards(database: Database, old: UpstreamDatabase) -> None:
    body: dict[str, Any] = {
        "env": {"JUPYTERHUB_USER_ID": "42", "A": "b"},
        "misc": {"cpu_limit": 2},
        "user_options": {"flavor": "big", "nested": {"x": [1]}},
    }
    row_id = old.add(
        "ünï/code", user_id=42, body=body, state={"pod_name": "p", "more": [1]}, flavor="big", start_id="abc",
        start_response={"service": "http://10.0.0.1:8888"},
    )  # fmt: skip
    assert loaded(upgraded(database, old), row_id) == Service(
        id=row_id,
        identity=Identity("hub1", "ünï/code", "abc"),
        user_id="42",
        flavor="big",
        status=Status.RUNNING,
        version=0,
        start_date=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        last_update=datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
        body=Body(**body),
        inputs=Inputs(),
        state={"pod_name": "p", "more": [1]},
        start_response="http://10.0.0.1:8888",
    )


def test_the_schema_is_the_one_a_new_database_has_and_the_upgrade_can_be_repeated(
    database: Database, old: UpstreamDatabase
) -> None:
    old.add("a")
    assert schema.schema_state(database) == "upstream"
    store = upgraded(database, old)
    assert schema.schema_state(database) == "current"
    before = old.rows()
    schema.migrate(database, Sealer(old.key))
    assert old.rows() == before
    assert [s.identity.name for s in store.list_hub("hub1")] == ["a"]
    with database.read() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []


def test_a_pid_is_kept_with_the_moment_after_which_it_is_another_process(
    database: Database, old: UpstreamDatabase
) -> None:
    row_id = old.add("a", state={"pid": 123})
    before = time.time()
    state = loaded(upgraded(database, old), row_id).state
    assert state["pid"] == 123
    assert before < state["_outpost"]["started_before"] < time.time() + 120


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"start_pending": True}, Status.STARTING),
        ({"stop_pending": True}, Status.STOPPING),
        ({"start_pending": True, "stop_pending": True}, Status.STOPPING),
        ({"start_pending": None, "stop_pending": None}, Status.RUNNING),
    ],
)
def test_what_was_under_way_is_found_by_recovery(
    database: Database, old: UpstreamDatabase, columns: dict[str, Any], status: Status
) -> None:
    row_id = old.add("a", **columns)
    store = upgraded(database, old)
    assert store.status(row_id) is status
    assert store.unattended(NOW, NOW, 10) == ([] if status is Status.RUNNING else [row_id])


@pytest.mark.parametrize(
    ("stored", "means"),
    [
        ("9999-12-31 23:59:59.999999", None),
        (None, None),
        ("2029-06-01 12:00:00", datetime(2029, 6, 1, 12, tzinfo=UTC)),
    ],
)
def test_an_end_date_is_kept_and_the_end_of_time_is_none(
    database: Database, old: UpstreamDatabase, stored: str | None, means: datetime | None
) -> None:
    row_id = old.add("a", end_date=stored)
    store = upgraded(database, old)
    assert loaded(store, row_id).end_date == means
    assert store.expired(NOW, 10) == ([row_id] if means else [])


def test_naive_columns_of_a_database_made_by_hand_are_utc(database: Database, old: UpstreamDatabase) -> None:
    if not database.is_sqlite:
        for column in ("start_date", "last_update", "end_date"):
            change = f"ALTER COLUMN {column} TYPE TIMESTAMP WITHOUT TIME ZONE USING {column} AT TIME ZONE 'UTC'"
            old.execute(f"ALTER TABLE service {change}")
    row_id = old.add("a")
    assert loaded(upgraded(database, old), row_id).start_date == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


@only_postgresql
def test_a_database_in_another_time_zone_is_read_right(database: Database, old: UpstreamDatabase) -> None:
    with database.write() as db:
        name = db.scalar(text("SELECT current_database()"))
        db.execute(text(f"ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'"))
    database.close()
    row_id = old.add("a")
    service = loaded(upgraded(database, old), row_id)
    assert (service.start_date, service.end_date) == (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None)


def test_the_users_id_is_found_wherever_it_is(database: Database, old: UpstreamDatabase) -> None:
    other_key = Fernet.generate_key().decode()
    named = {"env": {"JUPYTERHUB_USER_ID": 9}, "misc": {}, "user_options": {}}
    unreadable = old.seal(named, other_key)
    has_column = old.generation == "2"
    ids = {
        old.add("known", user_id=42): "42",
        old.add("in its body", user_id=0, body=named): "9",
        old.add("nowhere", user_id=0, body={"env": {}, "misc": {}, "user_options": {}}): "0",
        old.add("unreadable", user_id=8, body=unreadable): "8" if has_column else "0",
    }
    store = upgraded(database, old)
    assert {s.id: s.user_id for s in store.list_hub("hub1")} == ids


@pytest.mark.parametrize("flavor", [None, "", "_undefined"])
def test_no_flavor_is_none(database: Database, old: UpstreamDatabase, flavor: str | None) -> None:
    row_id = old.add("a", flavor=flavor)
    assert loaded(upgraded(database, old), row_id).flavor is None


def test_rows_that_were_never_filled_can_be_read(database: Database, old: UpstreamDatabase) -> None:
    empty = old.add("empty", body=None, state=None, start_response=None, start_date=None, last_update=None)
    odd = old.add("odd", body={"env": {"N": 1, "NONE": None}, "more": 1}, start_response={"service": None})
    lists = old.add("lists", body=["x"], state=["x"], start_response=["x"])
    store = upgraded(database, old)
    for row_id in (empty, odd, lists):
        service = loaded(store, row_id)
        assert (service.state, service.start_response, service.status) == ({}, "", Status.RUNNING)
    assert loaded(store, odd).body == Body(env={"N": "1"})
    assert loaded(store, empty).body == loaded(store, lists).body == Body()


def test_new_ids_go_on_after_the_old_ones(database: Database, old: UpstreamDatabase) -> None:
    last = max(old.add(name) for name in ("a", "b", "c"))
    new = NewService(Identity("hub1", "d", "0"), None, Body(), Inputs())
    assert upgraded(database, old).admit(new).id == last + 1


def test_hubs_keep_their_own_services(database: Database, old: UpstreamDatabase) -> None:
    mine, theirs = old.add("a", hub="hub1"), old.add("a", hub="hub2")
    store = upgraded(database, old)
    assert [s.id for s in store.list_hub("hub1")] == [mine]
    assert [s.id for s in store.list_hub("hub2")] == [theirs]


def test_more_rows_than_a_batch_are_all_there(database: Database, old: UpstreamDatabase) -> None:
    old.add("a", state={"pid": 1})
    columns = "name, jupyterhub_username, start_date, last_update, body"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT i FROM n"
    old.execute(
        f"INSERT INTO service ({columns}) SELECT CAST(n.i AS VARCHAR), jupyterhub_username, start_date, last_update, "
        f"body FROM service, ({numbers}) AS n"
    )
    assert len(upgraded(database, old).list_hub("hub1")) == 1201


def test_of_duplicates_the_newest_keeps_the_name_and_the_others_are_stopped(
    database: Database, old: UpstreamDatabase
) -> None:
    oldest = old.add("a", state={"pid": 1})
    older = old.add("a", state={"pid": 2})
    newest = old.add("a", state={"pid": 3})
    store = upgraded(database, old)
    assert store.find(Identity("hub1", "a", "0")).id == newest
    found = {s.id: (s.identity.start_id, s.status) for s in store.list_hub("hub1")}
    assert found == {
        oldest: (f"0~{oldest}", Status.STOPPING),
        older: (f"0~{older}", Status.STOPPING),
        newest: ("0", Status.RUNNING),
    }
    assert store.unattended(NOW, NOW, 10) == [oldest, older]
    assert loaded(store, oldest).state["pid"] == 1


def test_a_duplicates_new_name_is_nobody_elses(database: Database, old: UpstreamDatabase) -> None:
    older = old.add("a", state={"pid": 1})
    namesake = old.add("a", state={"pid": 2}, start_id=f"0~{older}")
    newest = old.add("a", state={"pid": 3})
    store = upgraded(database, old)
    found = {s.id: s.identity.start_id for s in store.list_hub("hub1")}
    assert found == {older: f"0~{older}~", namesake: f"0~{older}", newest: "0"}
    assert store.status(namesake) is Status.RUNNING


@pytest.mark.parametrize(
    ("older", "newest"),
    [
        ({"pid": 1}, {"pid": 1}),
        ({"pid": 1, "n": 1}, {"pid": 1, "n": 2}),
        (
            {"pod_name": "p", "namespace": "n", "dns_name": "x"},
            {"pod_name": "p", "namespace": "n", "dns_name": "y"},
        ),
        ({"unheard": "of", "n": 1}, {"unheard": "of", "n": 2}),
        ({}, {"pid": 1}),
        ({}, {}),
    ],
)
def test_a_duplicate_of_the_same_server_is_dropped_so_that_the_server_lives(
    database: Database,
    old: UpstreamDatabase,
    older: dict[str, Any],
    newest: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dropped = old.add("a", state=older)
    kept = old.add("a", state=newest)
    store = upgraded(database, old)
    assert [(s.id, s.status) for s in store.list_hub("hub1")] == [(kept, Status.RUNNING)]
    assert f"service hub1/a/0 (row {dropped}): dropped" in caplog.text


def test_a_duplicates_pid_that_now_is_another_services_is_not_stopped(
    database: Database, old: UpstreamDatabase
) -> None:
    old.add("a", state={"pid": 1})
    kept = [old.add("a", state={"pid": 2}), old.add("b", state={"pid": 1})]
    store = upgraded(database, old)
    assert [(s.id, s.status) for s in store.list_hub("hub1")] == [(row_id, Status.RUNNING) for row_id in kept]


def test_pods_of_one_name_in_two_namespaces_are_two_servers(database: Database, old: UpstreamDatabase) -> None:
    older = old.add("a", state={"pod_name": "p", "namespace": "one"})
    old.add("a", state={"pod_name": "p", "namespace": "two"})
    assert upgraded(database, old).status(older) is Status.STOPPING


def test_a_row_no_key_opens_is_kept_named_and_left_alone(
    database: Database, old: UpstreamDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    lost_key = Fernet.generate_key().decode()
    sealed: dict[str, Any] = {column: old.seal({"env": {}}, lost_key) for column in ("body", "state", "start_response")}
    older = old.add("lost", **sealed)
    newest = old.add("lost", **sealed)
    half = old.add("half", state=sealed["state"])
    fine = old.add("fine")
    store = upgraded(database, old)
    found = {s.id: (s.identity.start_id, s.status) for s in store.list_hub("hub1")}
    assert found == {
        older: (f"0~{older}", Status.RUNNING),
        newest: ("0", Status.RUNNING),
        half: ("0", Status.RUNNING),
        fine: ("0", Status.RUNNING),
    }
    for name, row_id in (("lost", older), ("lost", newest), ("half", half)):
        assert f"service hub1/{name}/0 (row {row_id}): stored data cannot be read" in caplog.text
        with pytest.raises(Unreadable):
            store.load(row_id)
    found_key = SqlStore(database, Sealer(f"{old.key};{lost_key}"), lambda: NOW)
    assert loaded(found_key, newest).state == {"env": {}}, "the key that is found again opens it"


def test_nothing_secret_is_logged(database: Database, old: UpstreamDatabase, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for state in ({"pid": 1, "secret": "s3cr3t"}, {"pid": 2, "secret": "s3cr3t"}, {}):
        old.add("a", state=state, body={"env": {"JUPYTERHUB_API_TOKEN": "s3cr3t"}, "misc": {}, "user_options": {}})
    upgraded(database, old)
    assert "s3cr3t" not in caplog.text
    assert old.key not in caplog.text


def test_a_date_that_is_none_stops_the_upgrade_and_changes_nothing(database: Database, old: UpstreamDatabase) -> None:
    if not database.is_sqlite:
        old.execute("ALTER TABLE service ALTER COLUMN end_date TYPE VARCHAR")
    row_id = old.add("a", end_date="tomorrow")
    before = old.rows()
    with pytest.raises(ConfigError, match=rf"service hub1/a/0 \(row {row_id}\).*: end_date must be a date, not 'tomor"):
        upgraded(database, old)
    assert schema.schema_state(database) == "upstream"
    assert old.rows() == before


def test_a_table_of_somebody_else_is_left_alone(database: Database) -> None:
    with database.write() as db:
        db.execute(text("CREATE TABLE service (id INTEGER PRIMARY KEY, price INTEGER)"))
    with pytest.raises(ConfigError, match="'service' is not that of an Outpost, since it has no column 'body'"):
        schema.migrate(database, Sealer(Fernet.generate_key().decode()))


@only_postgresql
def test_what_hangs_on_the_old_tables_stops_the_upgrade(database: Database, old: UpstreamDatabase) -> None:
    old.add("a")
    old.execute("CREATE VIEW report AS SELECT name FROM service")
    with pytest.raises(ConfigError, match="cannot be replaced, and are unchanged: cannot drop table service because"):
        upgraded(database, old)
    assert [row["name"] for row in old.rows()] == ["a"]


@only_postgresql
def test_an_old_outpost_that_still_works_stops_the_upgrade(
    database: Database, old: UpstreamDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_LOCK_SECONDS", 1)
    old.add("a")
    with database.write() as still_working:
        still_working.execute(text("SELECT * FROM service"))
        with pytest.raises(ConfigError, match="still used by another Outpost after 1 seconds; stop it"):
            upgraded(database, old)
    assert upgraded(database, old).list_hub("hub1") != []


def test_processes_that_start_together_upgrade_it_once(database_url: URL, old: UpstreamDatabase) -> None:
    ids = [old.add(name) for name in "abc"]
    errors: list[Exception] = []
    together = threading.Barrier(4)

    def start() -> None:
        own = Database(database_url)
        together.wait()
        try:
            schema.migrate(own, Sealer(old.key))
        except Exception as error:  # noqa: BLE001  # whatever it is
            errors.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [row["id"] for row in old.rows()] == ids
