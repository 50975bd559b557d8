"""Alembic's entry: runs the revisions on the connection that `moorage.metadata.migrate` hands over."""

from __future__ import annotations

from alembic import context

from moorage.metadata.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, though Alembic does not expect it: all revisions or none
)
with context.begin_transaction():
    context.run_migrations()
