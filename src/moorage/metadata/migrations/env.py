"""Alembic's entry: runs the revisions on the connection that `moorage.metadata.migrate` hands over."""

from __future__ import annotations

from alembic import context

from moorage.metadata import tables_access  # noqa: F401 - its tables belong to the same schema
from moorage.metadata.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, though Alembic does not expect it: all revisions or none
)
with context.begin_transaction():
    context.run_migrations()
