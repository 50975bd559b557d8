"""Grants: what is said twice is said once.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SAME = ("project_id", "principal_kind", "principal_id", "pattern", "effect", "role", "actions")
IMPORTED = "policy "  # how the note of a grant begins that a policy document made; another document removes it

grants = sa.table("grants", *(sa.column(name) for name in ("id", *SAME, "note", "expires_at", "version")))


def upgrade() -> None:
    """Merge grants that say the same, and let there be no more of them."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("LOCK TABLE grants IN SHARE ROW EXCLUSIVE MODE")  # an instance that still runs may be writing
    same = [grants.c[name] for name in SAME]
    for group in connection.execute(sa.select(*same).group_by(*same).having(sa.func.count() > 1)).all():
        _merge(connection, [column == value for column, value in zip(same, group, strict=True)])
    op.create_index("ix_grants_same", "grants", list(SAME), unique=True)


def _merge(connection: sa.Connection, where: list[sa.ColumnElement[bool]]) -> None:
    """Keep the first that no document made, else the first, until the last of all their ends."""
    statement = sa.select(grants.c.id, grants.c.note, grants.c.expires_at).where(*where).order_by(grants.c.id)
    rows = connection.execute(statement).all()
    kept = next((row for row in rows if not row.note.startswith(IMPORTED)), rows[0])
    ends = [row.expires_at for row in rows]
    end = None if None in ends else max(ends)
    connection.execute(grants.delete().where(*where, grants.c.id != kept.id))
    if end != kept.expires_at:
        changed = grants.update().where(grants.c.id == kept.id)
        connection.execute(changed.values(expires_at=end, version=grants.c.version + 1))
