"""The tables.

    repositories ──< manifests ──< manifest_references (what a manifest names)
        │                └──< tags, tag_history (who moved what to what, when)
        └──< blob_links (lease) >── blobs (location)
    uploads   sessions under way         events     the outbox        schedules   who runs what next

Times are seconds since 1970 UTC. Texts that are listed in order compare byte by byte, as the distribution
specification wants of tags ("in lexical (ASCIIbetical) order").
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only columns of type INTEGER by itself."""

Ordered = Text().with_variant(Text(collation="C"), "postgresql")
"""Byte order in both databases."""

repositories = Table(
    "repositories",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("project_id", Key, nullable=False, server_default="1"),
    Column("public", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("name"),
    Index("ix_repositories_project_id", "project_id", "name"),
)
Index(
    "ix_repositories_public",
    repositories.c.name,
    sqlite_where=repositories.c.public,
    postgresql_where=repositories.c.public,
)
"""`project_id`: the project with the longest name that is a prefix of this one's; 1 is the root. No foreign key: SQLite
adds none to a table that is there, and a project that still has repositories is never removed. `public` is that
project's: the catalog finds what everybody may see without walking over what is hidden."""

manifests = Table(
    "manifests",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("repository_id", Key, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("digest", Ordered, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("artifact_type", Text, nullable=False, default=""),
    Column("subject", Ordered, nullable=True),
    Column("annotations", Text, nullable=True),
    Column("size", BigInteger, nullable=False),
    Column("pushed_at", Double, nullable=False),
    Column("pushed_by", Text, nullable=False, default=""),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("repository_id", "digest"),
)
Index(
    "ix_manifests_subject",
    manifests.c.repository_id,
    manifests.c.subject,
    manifests.c.id,
    sqlite_where=manifests.c.subject.is_not(None),
    postgresql_where=manifests.c.subject.is_not(None),
)

Index(
    "ix_manifests_subject_type",
    manifests.c.repository_id,
    manifests.c.subject,
    manifests.c.artifact_type,
    manifests.c.id,
    sqlite_where=manifests.c.subject.is_not(None),
    postgresql_where=manifests.c.subject.is_not(None),
)

manifest_references = Table(
    "manifest_references",
    metadata,
    Column("manifest_id", Key, ForeignKey("manifests.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Ordered, nullable=False),
    PrimaryKeyConstraint("manifest_id", "position"),
    Index("ix_manifest_references_digest", "digest", "manifest_id"),
    sqlite_with_rowid=False,
)
"""`kind`: config, layer, foreign (bytes live elsewhere) or child (a manifest or, in BuildKit's caches, a blob)."""

tags = Table(
    "tags",
    metadata,
    Column("repository_id", Key, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("name", Ordered, nullable=False),
    Column("manifest_id", Key, ForeignKey("manifests.id"), nullable=False),
    Column("updated_at", Double, nullable=False),
    PrimaryKeyConstraint("repository_id", "name"),
    Index("ix_tags_manifest_id", "manifest_id"),
    sqlite_with_rowid=False,
)

tag_history = Table(
    "tag_history",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("repository_id", Key, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("name", Ordered, nullable=False),
    Column("digest", Text, nullable=True),
    Column("previous", Text, nullable=True),
    Column("actor", Text, nullable=False, default=""),
    Column("at", Double, nullable=False),
    Index("ix_tag_history_name", "repository_id", "name", "id"),
)
"""`digest` is NULL where the tag was removed, `previous` where it was new."""

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Ordered, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("location", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

blob_links = Table(
    "blob_links",
    metadata,
    Column("repository_id", Key, ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("digest", Ordered, ForeignKey("blobs.digest"), nullable=False),
    Column("leased_at", Double, nullable=False),
    PrimaryKeyConstraint("repository_id", "digest"),
    Index("ix_blob_links_digest", "digest"),
    sqlite_with_rowid=False,
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repository", Ordered, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("digest", Text, nullable=True),
    Column("actor", Text, nullable=False, default=""),
    Column("started_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("content", LargeBinary, nullable=True),
    Index("ix_uploads_updated_at", "updated_at", "id"),
    sqlite_with_rowid=False,
)
"""`digest` is that of the first `offset` bytes, where it is known. `content`: these bytes as long as they are few; NULL
once the upload store has them."""

events = Table(
    "events",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("action", Text, nullable=False),
    Column("repository", Ordered, nullable=False),
    Column("payload", Text, nullable=False),
    Index("ix_events_at", "at"),
    sqlite_autoincrement=True,
)

unsynced_blobs = Table(
    "unsynced_blobs",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("ix_unsynced_blobs_digest", "digest"),
    # Numbers only grow: what is kept after a sync began must not get the number of what it was for.
    sqlite_autoincrement=True,
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", Double, nullable=False),
)
