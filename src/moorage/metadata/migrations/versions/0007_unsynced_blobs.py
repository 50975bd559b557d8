"""Small blobs whose files are not known to be on the disk yet.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Nothing waits yet: what was stored before was durable before it was answered."""
    op.create_table(
        "unsynced_blobs",
        sa.Column("number", Key, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sqlite_autoincrement=True,
    )
