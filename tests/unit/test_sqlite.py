"""SQLite's file: whoever opens it waits for the others, whatever journal it came with."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import URL

from core.errors import StoreUnavailable
from infra import database
from infra.database import Database


@pytest.fixture
def with_rollback_journal(tmp_path: Path) -> Path:
    """A file as other programs leave it."""
    path = tmp_path / "sqlite.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE thing (number INTEGER)")
    connection.close()
    return path


def journal_of(opened: Database) -> str:
    with opened.read() as connection:
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())


def writer_of(path: Path) -> sqlite3.Connection:
    """Somebody in the middle of a transaction, which SQLite itself would not wait for."""
    writer = sqlite3.connect(path, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    return writer


def test_a_file_with_another_journal_is_opened_once_its_writer_has_ended(with_rollback_journal: Path) -> None:
    ending = threading.Timer(0.3, writer_of(with_rollback_journal).close)
    ending.start()
    opened = Database(URL.create("sqlite", database=str(with_rollback_journal)))
    try:
        assert journal_of(opened) == "wal"
    finally:
        ending.join()
        opened.close()


def test_a_writer_that_does_not_end_makes_the_store_unavailable(
    with_rollback_journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.2)
    writer = writer_of(with_rollback_journal)
    opened = Database(URL.create("sqlite", database=str(with_rollback_journal)))
    try:
        with pytest.raises(StoreUnavailable, match="locked"):
            journal_of(opened)
    finally:
        opened.close()
        writer.close()
