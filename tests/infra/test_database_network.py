"""The wait for the way to the database: one connection when it is open, a bounded time when it is not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.database_network import wait_for_network
from infra.database_settings import DatabaseSettings
from tests.support.clock import Clock


@pytest.fixture
def host() -> Iterator[socket.socket]:
    """A port that refuses connections until it listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


def settings(host: socket.socket, **others: str) -> DatabaseSettings:
    """PostgreSQL there."""
    address, port = host.getsockname()
    return DatabaseSettings.model_validate({"SQL_TYPE": "postgresql", "SQL_HOST": address, "SQL_PORT": port, **others})


class Pauses:
    """Time passes in pauses only; at a given one the host begins to listen."""

    def __init__(self, host: socket.socket, opens_at: int = 0) -> None:
        self.clock = Clock()
        self.taken = 0
        self._host, self._opens_at = host, opens_at

    def __call__(self, seconds: float) -> None:
        """A pause."""
        self.taken += 1
        self.clock.forward(seconds=seconds)
        if self.taken == self._opens_at:
            self._host.listen()


def test_a_host_that_takes_connections_is_connected_to_once(
    host: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    host.listen()
    pauses = Pauses(host)
    with caplog.at_level(logging.DEBUG):
        wait_for_network(settings(host), pauses.clock, pauses)
    assert (pauses.taken, caplog.messages) == (0, [])
    host.accept()[0].close()
    host.settimeout(0)
    with pytest.raises(BlockingIOError):
        host.accept()


def test_a_host_that_opens_within_a_minute_is_waited_for(host: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    pauses = Pauses(host, opens_at=50)
    with caplog.at_level(logging.INFO):
        wait_for_network(settings(host), pauses.clock, pauses)
    assert pauses.taken == 50
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    assert caplog.messages[-1] == "SQL_HOST can be reached after 50 s"


def test_after_a_minute_it_goes_on_and_the_log_says_why(host: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    pauses = Pauses(host)
    wait_for_network(settings(host), pauses.clock, pauses)
    assert pauses.taken == 60
    assert caplog.messages == ["SQL_HOST cannot be reached: Connection refused; going on without"]


def test_a_name_that_nobody_knows_is_no_error(
    host: socket.socket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    pauses = Pauses(host)
    wait_for_network(settings(host, SQL_HOST="nowhere.invalid"), pauses.clock, pauses)
    assert caplog.messages == ["SQL_HOST cannot be reached: Name or service not known; going on without"]


@pytest.mark.parametrize("others", [{"SQL_TYPE": "sqlite"}, {"SQL_HOST": "/cloudsql/p:r:i"}])
def test_what_is_on_this_machine_is_not_waited_for(host: socket.socket, tmp_path: Path, others: dict[str, str]) -> None:
    pauses = Pauses(host)
    wait_for_network(settings(host, **others), pauses.clock, pauses)
    assert pauses.taken == 0
