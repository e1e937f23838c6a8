"""The database's tables. The names are those of the Outpost databases already in the field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware moments in UTC, on databases that keep the zone and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """SQLite stores naive moments, which are UTC here."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """What comes back is aware, always."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData()

hubs = Table("jupyterhub", metadata, Column("name", String, primary_key=True))

services = Table(
    "service",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("start_id", String, nullable=False, server_default="0"),
    Column("jupyterhub_username", String, ForeignKey("jupyterhub.name"), nullable=False),
    Column("jupyterhub_user_id", String, nullable=False, server_default="0"),
    Column("flavor", String),
    Column("status", String, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("start_date", UtcDateTime, nullable=False),
    Column("last_update", UtcDateTime, nullable=False),
    Column("end_date", UtcDateTime),
    Column("body", LargeBinary, nullable=False),
    Column("inputs", LargeBinary),
    Column("state", LargeBinary),
    Column("start_response", LargeBinary),
    Column("lease_owner", String),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retry_at", UtcDateTime),
    Column("failure", Text),
    Column("tunnel_generation", String),
    Column("tunnel_asked", String),
    Column("tunnel_attempts", Integer, nullable=False, server_default="0"),
    Column("tunnel_retry_at", UtcDateTime),
    Column("tunnel_failure", String),
    UniqueConstraint("jupyterhub_username", "name", "start_id", name="service_identity"),
    Index("service_usage", "jupyterhub_username", "status", "flavor", "jupyterhub_user_id"),
    Index("service_end_date", "status", "end_date"),
    Index("service_lease", "status", "lease_until"),
    sqlite_autoincrement=True,  # an id is never used again, so a late wake-up finds nobody else's row
)

leases = Table(
    "lease",
    metadata,
    Column("job", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

outposts = Table("outpost", metadata, Column("id", String, primary_key=True))
"""One row, made by the migration: what this Outpost's servers are labelled with."""

ssh_nodes = Table(
    "ssh_node",
    metadata,
    Column("name", String, primary_key=True),
    Column("generation", String, nullable=False),
)
