"""Small blobs are read from where they are kept, until they have their files.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What waits is a few thousand rows at most."""
    op.create_index("ix_unsynced_blobs_digest", "unsynced_blobs", ["digest"])
