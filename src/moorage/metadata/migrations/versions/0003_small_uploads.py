"""Small uploads: the bytes of a session are in its row as long as they are few. Referrers of one type by an index.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Sessions that are open have NULL in the new column: their bytes are in the upload store."""
    op.add_column("uploads", sa.Column("content", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_manifests_subject_type",
        "manifests",
        ["repository_id", "subject", "artifact_type", "id"],
        sqlite_where=sa.text("subject IS NOT NULL"),
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
