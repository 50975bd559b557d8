"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _repositories()
    _manifests()
    _tags()
    _blobs()
    _work()


def _repositories() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_repositories"),
        sa.UniqueConstraint("name", name="uq_repositories_name"),
    )


def _manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("repository_id", KEY, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("subject", ORDERED, nullable=True),
        sa.Column("annotations", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pushed_at", sa.Double(), nullable=False),
        sa.Column("pushed_by", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_manifests"),
        sa.UniqueConstraint("repository_id", "digest", name="uq_manifests_repository_id_digest"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_manifests_repository_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_manifests_subject",
        "manifests",
        ["repository_id", "subject", "id"],
        sqlite_where=sa.text("subject IS NOT NULL"),
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Payloads over INLINE_LIMIT are read in pieces: stored uncompressed, a piece costs no more than itself.
        op.execute("ALTER TABLE manifests ALTER COLUMN payload SET STORAGE EXTERNAL")
    op.create_table(
        "manifest_references",
        sa.Column("manifest_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.PrimaryKeyConstraint("manifest_id", "position", name="pk_manifest_references"),
        sa.ForeignKeyConstraint(
            ["manifest_id"], ["manifests.id"], name="fk_manifest_references_manifest_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_manifest_references_digest", "manifest_references", ["digest", "manifest_id"])


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("repository_id", KEY, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("manifest_id", KEY, nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "name", name="pk_tags"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_tags_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["manifest_id"], ["manifests.id"], name="fk_tags_manifest_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tags_manifest_id", "tags", ["manifest_id"])
    op.create_table(
        "tag_history",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("repository_id", KEY, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tag_history"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_tag_history_repository_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_tag_history_name", "tag_history", ["repository_id", "name", "id"])


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blob_links",
        sa.Column("repository_id", KEY, nullable=False),
        sa.Column("digest", ORDERED, nullable=False),
        sa.Column("leased_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "digest", name="pk_blob_links"),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name="fk_blob_links_repository_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name="fk_blob_links_digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blob_links_digest", "blob_links", ["digest"])


def _work() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repository", ORDERED, nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_uploads_updated_at", "uploads", ["updated_at", "id"])
    op.create_table(
        "events",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("repository", ORDERED, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
    )
