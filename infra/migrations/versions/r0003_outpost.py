"""Which Outpost this database is the truth of."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and in its one row the id that no other Outpost has."""
    table = op.create_table("outpost", sa.Column("id", sa.String, primary_key=True))
    op.bulk_insert(table, [{"id": uuid.uuid4().hex}])
