"""Hubs, services and the leases of scheduled jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables. They are spelled out: later changes of ``infra.tables`` must not change them."""
    op.create_table("jupyterhub", sa.Column("name", sa.String, primary_key=True))
    op.create_table(
        "service",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("start_id", sa.String, nullable=False, server_default="0"),
        sa.Column("jupyterhub_username", sa.String, sa.ForeignKey("jupyterhub.name"), nullable=False),
        sa.Column("jupyterhub_user_id", sa.String, nullable=False, server_default="0"),
        sa.Column("flavor", sa.String),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="0"),
        sa.Column("start_date", _MOMENT, nullable=False),
        sa.Column("last_update", _MOMENT, nullable=False),
        sa.Column("end_date", _MOMENT),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("inputs", sa.LargeBinary),
        sa.Column("state", sa.LargeBinary),
        sa.Column("start_response", sa.LargeBinary),
        sa.Column("lease_owner", sa.String),
        sa.Column("lease_until", _MOMENT),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", _MOMENT),
        sa.Column("failure", sa.Text),
        sa.Column("tunnel_generation", sa.String),
        sa.UniqueConstraint("jupyterhub_username", "name", "start_id", name="service_identity"),
        sqlite_autoincrement=True,
    )
    usage = ["jupyterhub_username", "status", "flavor", "jupyterhub_user_id"]
    op.create_index("service_usage", "service", usage)
    op.create_index("service_end_date", "service", ["status", "end_date"])
    op.create_index("service_lease", "service", ["status", "lease_until"])
    op.create_table(
        "lease",
        sa.Column("job", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
    )
