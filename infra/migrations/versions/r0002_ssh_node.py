"""Which generation the SSH node is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of SSH nodes."""
    op.create_table(
        "ssh_node",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("generation", sa.String, nullable=False),
    )
