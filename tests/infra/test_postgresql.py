"""Reaching PostgreSQL: encryption, certificates, passwords that change, and how trouble is told."""

from __future__ import annotations

import gc
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from core.errors import StoreUnavailable
from infra.credentials import password_for
from infra.database import Database
from infra.database_settings import DatabaseSettings
from infra.settings import from_environment
from infra.wiring import open_database
from infra.wiring_functions import Environment
from tests.support import postgresql
from tests.support.aws import Aws, forget_clients
from tests.support.clock import Clock
from tests.support.secure_postgresql import DATABASE, Certificates, SecureCluster, secure_cluster
from tests.support.waiting import eventually

pytestmark = pytest.mark.postgresql

PASSWORD = "the first pässword"
NEW_PASSWORD = "the second pässword"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of this run."""
    return Certificates(tmp_path_factory.mktemp("certificates") / "store")


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[SecureCluster]:
    """A server with TLS and passwords."""
    postgresql.require()
    with tempfile.TemporaryDirectory() as folder, secure_cluster(Path(folder), certificates) as running:
        running.user("app", PASSWORD)
        running.sql("CREATE ROLE certified LOGIN")
        running.sql("CREATE ROLE encrypted LOGIN")
        yield running


@pytest.fixture
def env(server: SecureCluster, environ: MutableMapping[str, str]) -> MutableMapping[str, str]:
    """The environment points at the server with TLS."""
    server.user("app", PASSWORD)
    environ.update(
        SQL_TYPE="postgresql",
        SQL_HOST="127.0.0.1",
        SQL_PORT=str(server.port),
        SQL_USER="app",
        SQL_PASSWORD=PASSWORD,
        SQL_DATABASE=DATABASE,
    )
    return environ


@contextmanager
def database() -> Iterator[Database]:
    """The database that the environment names, as Outpost opens it."""
    opened = open_database(from_environment(DatabaseSettings))
    try:
        yield opened
    finally:
        opened.close()


def is_encrypted() -> bool:
    """Connect, and ask the server."""
    with database() as opened, opened.read() as connection:
        return bool(connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")))


def refusal() -> str:
    """Connect in vain; what is said."""
    with database() as opened, pytest.raises(StoreUnavailable) as caught, opened.read():
        pass
    message = str(caught.value)
    assert message.startswith("the database does not answer: ")
    assert "\n" not in message
    assert PASSWORD not in message
    return message.removeprefix("the database does not answer: ")


@pytest.fixture
def abandoned_sockets() -> Iterator[None]:
    """Where a connection breaks, pg8000 leaves its socket to the garbage collector, which warns of it."""
    yield
    gc.collect()


abandons_sockets = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_a_host_that_is_a_path_is_the_folder_of_a_socket(
    env: MutableMapping[str, str], server: SecureCluster, mode: str
) -> None:
    env.update(SQL_HOST=str(server.sockets), SQL_SSLMODE=mode)
    with database() as opened, opened.read() as connection:
        address = connection.scalar(text("SELECT client_addr FROM pg_stat_activity WHERE pid = pg_backend_pid()"))
    assert address is None
    assert not is_encrypted()
    env["SQL_PASSWORD"] = "another"
    assert "password authentication failed" in refusal()


def test_a_socket_that_there_is_not_is_said(env: MutableMapping[str, str], tmp_path: Path) -> None:
    env["SQL_HOST"] = str(tmp_path)
    assert "No such file" in refusal()


@pytest.mark.parametrize(
    ("mode", "encrypted"),
    [("disable", False), ("prefer", True), ("require", True), ("verify-ca", True), ("verify-full", True)],
)
def test_a_server_with_tls_is_reached_as_the_mode_says(
    env: MutableMapping[str, str], certificates: Certificates, mode: str, encrypted: bool
) -> None:
    env["SQL_SSLMODE"] = mode
    if mode.startswith("verify"):
        env["SQL_SSLROOTCERT"] = certificates.ca
    assert is_encrypted() == encrypted


@pytest.mark.parametrize("mode", ["disable", "prefer"])
def test_a_server_without_tls_is_reached_where_the_mode_lets_it(
    cluster: postgresql.Cluster, env: MutableMapping[str, str], mode: str
) -> None:
    env.update(SQL_PORT=str(cluster.port), SQL_USER="outpost", SQL_DATABASE="postgres", SQL_SSLMODE=mode)
    assert is_encrypted() is False


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_without_tls_is_not_talked_to_where_encryption_is_required(
    cluster: postgresql.Cluster, env: MutableMapping[str, str], mode: str
) -> None:
    env.update(SQL_PORT=str(cluster.port), SQL_USER="outpost", SQL_DATABASE="postgres", SQL_SSLMODE=mode)
    assert refusal() == "Server refuses SSL"


def test_without_encryption_a_server_that_wants_it_says_so(env: MutableMapping[str, str]) -> None:
    env.update(SQL_USER="encrypted", SQL_SSLMODE="require")
    assert is_encrypted() is True
    env["SQL_SSLMODE"] = "disable"
    assert "no encryption" in refusal() or "password authentication failed" in refusal()


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("ca", ["the system's", "a stranger's"])
def test_a_server_that_nobody_vouches_for_is_not_talked_to(
    env: MutableMapping[str, str], certificates: Certificates, mode: str, ca: str
) -> None:
    env["SQL_SSLMODE"] = mode
    if ca == "a stranger's":
        env["SQL_SSLROOTCERT"] = certificates.stranger_ca
    assert "certificate verify failed" in refusal()


def test_only_verify_full_looks_at_the_servers_name(env: MutableMapping[str, str], certificates: Certificates) -> None:
    env.update(SQL_HOST="localhost", SQL_SSLROOTCERT=certificates.ca, SQL_SSLMODE="verify-ca")
    assert is_encrypted() is True
    env["SQL_SSLMODE"] = "verify-full"
    assert "certificate is not valid for 'localhost'" in refusal()


def test_a_client_certificate_logs_in(env: MutableMapping[str, str], certificates: Certificates) -> None:
    env.update(SQL_USER="certified", SQL_SSLMODE="verify-full", SQL_SSLROOTCERT=certificates.ca)
    assert "certificate" in refusal()
    env.update(SQL_SSLCERT=certificates.client.cert, SQL_SSLKEY=certificates.client.key)
    assert is_encrypted() is True


@abandons_sockets
@pytest.mark.usefixtures("abandoned_sockets")
def test_a_client_certificate_of_a_stranger_does_not(env: MutableMapping[str, str], certificates: Certificates) -> None:
    env.update(SQL_USER="certified", SQL_SSLMODE="verify-full", SQL_SSLROOTCERT=certificates.ca)
    env.update(SQL_SSLCERT=certificates.stranger.cert, SQL_SSLKEY=certificates.stranger.key)
    assert "network error: " in refusal()


def connections(server: SecureCluster, user: str = "app") -> int:
    """How many are open."""
    ((count,),) = server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'")
    assert isinstance(count, int)
    return count


def all_at_once(opened: Database, number: int, seen: list[int], server: SecureCluster) -> None:
    """So many transactions; in each, how many connections there are."""

    def one(_: int) -> None:
        with opened.write() as connection:
            connection.execute(text("SELECT pg_sleep(0.1)"))
            seen.append(connections(server))

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(one, range(number)))


def test_without_a_pool_each_transaction_has_a_connection_and_leaves_none(
    env: MutableMapping[str, str], server: SecureCluster
) -> None:
    env["SQL_POOL_SIZE"] = "0"
    pids = set()
    with database() as opened:
        for _ in range(3):
            with opened.read() as connection:
                pids.add(connection.scalar(text("SELECT pg_backend_pid()")))
                assert connections(server) == 1
            eventually(lambda: connections(server) == 0, 10, "none is left")
        assert len(pids) == 3
        all_at_once(opened, 15, [], server)
        eventually(lambda: connections(server) == 0, 10, "none is left")


def test_a_pool_is_bounded_and_keeps_its_connections(env: MutableMapping[str, str], server: SecureCluster) -> None:
    env["SQL_POOL_SIZE"] = "2"
    seen: list[int] = []
    with database() as opened:
        all_at_once(opened, 12, seen, server)
        assert len(seen) == 12
        assert max(seen) <= 4, "the pool's, and two more at the height"
        eventually(lambda: connections(server) == 2, 10, "the pool's own stay")
    eventually(lambda: connections(server) == 0, 10, "none is left at the end")


@abandons_sockets
@pytest.mark.usefixtures("abandoned_sockets")
def test_a_pool_notices_that_the_server_was_restarted(env: MutableMapping[str, str], server: SecureCluster) -> None:
    with database() as opened:
        with opened.read() as connection:
            connection.execute(text("SELECT 1"))
        server.stop()
        with pytest.raises(StoreUnavailable), opened.read() as connection:
            connection.execute(text("SELECT 1"))
        server.start()
        with opened.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


@pytest.fixture(params=["TCP", "socket"])
def rotating(
    request: pytest.FixtureRequest, aws: Aws, env: MutableMapping[str, str], server: SecureCluster, clock: Clock
) -> Iterator[Database]:
    """A function's database, whose password stands in Secrets Manager."""
    if request.param == "socket":
        env["SQL_HOST"] = str(server.sockets)
    aws.secret("db", SQL_PASSWORD=PASSWORD)
    env["OUTPOST_SECRETS"] = "db"
    environment = Environment(clock)
    opened = open_database(environment.settings, environment.reread)
    yield opened
    opened.close()


def user_of(opened: Database) -> str:
    """Connect, and ask who it is."""
    with opened.read() as connection:
        return str(connection.scalar(text("SELECT current_user")))


def test_a_rotated_password_is_picked_up_without_a_restart(
    rotating: Database, aws: Aws, server: SecureCluster, clock: Clock
) -> None:
    assert user_of(rotating) == "app"
    server.user("app", NEW_PASSWORD)
    aws.secret("db", SQL_PASSWORD=NEW_PASSWORD)
    with pytest.raises(StoreUnavailable, match=r"^the database does not answer: password authentication failed"):
        user_of(rotating)
    clock.forward(minutes=1)
    assert user_of(rotating) == "app"
    assert user_of(rotating) == "app"


def test_all_who_are_refused_at_once_get_in_with_the_new_password(
    rotating: Database, aws: Aws, server: SecureCluster, clock: Clock
) -> None:
    server.user("app", NEW_PASSWORD)
    aws.secret("db", SQL_PASSWORD=NEW_PASSWORD)
    clock.forward(minutes=1)
    together = threading.Barrier(6)

    def one(_: int) -> str:
        together.wait(10)
        return user_of(rotating)

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(one, range(6))) == ["app"] * 6


def test_a_wrong_password_is_told_and_not_shown(
    env: MutableMapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    env["SQL_PASSWORD"] = wrong = "a wrong password"
    assert refusal() == 'password authentication failed for user "app"'
    with database() as opened, pytest.raises(StoreUnavailable) as caught, opened.read():
        pass
    chain: BaseException | None = caught.value
    while chain is not None:
        assert wrong not in f"{chain!r}"
        chain = chain.__cause__ or chain.__context__
    assert wrong not in caplog.text


def test_a_database_that_does_not_exist_is_told(env: MutableMapping[str, str]) -> None:
    env["SQL_DATABASE"] = "nothing"
    assert refusal() == 'database "nothing" does not exist'


def test_a_host_that_does_not_answer_is_told_with_the_reason(env: MutableMapping[str, str]) -> None:
    env["SQL_PORT"] = "1"
    said = refusal()
    assert "host 127.0.0.1 and port 1" in said
    assert "Connection refused" in said


def test_too_many_connections_are_told(env: MutableMapping[str, str], server: SecureCluster) -> None:
    server.user("few", PASSWORD, "CONNECTION LIMIT 1")
    env["SQL_USER"] = "few"
    with database() as first, first.read():
        assert refusal() == 'too many connections for role "few"'


def told() -> str:
    """Try to connect; what is said, if it is in vain."""
    try:
        is_encrypted()
    except StoreUnavailable as error:
        return str(error)
    return ""


@pytest.mark.filterwarnings("ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_lets_nobody_in_at_the_moment_is_told(
    env: MutableMapping[str, str], server: SecureCluster
) -> None:
    """pg8000 leaves its socket to the garbage collector where the server hangs up on its first words."""
    with database() as first, first.read():
        server.shut_down_softly()
        eventually(lambda: "the database system is shutting down" in told(), 20, "it refuses with 57P03")
    eventually(lambda: "Connection refused" in told(), 20, "it has ended")
    server.start()
    assert is_encrypted() is True
    gc.collect()


def test_each_connection_to_rds_has_a_token_of_its_own(
    aws: Aws, env: MutableMapping[str, str], certificates: Certificates, server: SecureCluster
) -> None:
    """The server plays RDS: it knows the last token that was signed, and nothing else opens it."""
    env.update(SQL_IAM_AUTH="true", SQL_SSLMODE="verify-full", SQL_SSLROOTCERT=certificates.ca, SQL_PASSWORD="")
    settings = from_environment(DatabaseSettings)
    sign = password_for(settings)
    signed: list[str] = []

    def known_to_the_server(refused: bool) -> str:
        signed.append(sign(refused))
        server.user("app", signed[-1])
        return signed[-1]

    opened = Database(settings.database_url, 0, settings.tls(), known_to_the_server)
    assert [user_of(opened) for _ in range(3)] == ["app"] * 3
    assert len(signed) == 3
    for token in signed:
        assert token.startswith(f"127.0.0.1:{server.port}/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256")
        assert "%2Frds-db%2Faws4_request" in token
        assert "X-Amz-Expires=900" in token


def test_a_token_that_cannot_be_signed_is_told(
    aws: Aws, env: MutableMapping[str, str], certificates: Certificates
) -> None:
    env.update(SQL_IAM_AUTH="true", SQL_SSLMODE="verify-full", SQL_SSLROOTCERT=certificates.ca)
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    forget_clients()
    assert refusal() == "SQL_IAM_AUTH: no token can be signed: Unable to locate credentials"
