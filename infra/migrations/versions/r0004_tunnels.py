"""What became of having a service's tunnel set up again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nobody has been asked yet."""
    op.add_column("service", sa.Column("tunnel_asked", sa.String))
    op.add_column("service", sa.Column("tunnel_attempts", sa.Integer, nullable=False, server_default="0"))
    op.add_column("service", sa.Column("tunnel_retry_at", sa.DateTime(timezone=True)))
    op.add_column("service", sa.Column("tunnel_failure", sa.String))
