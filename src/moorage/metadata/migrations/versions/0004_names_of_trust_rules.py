"""Trust rules: their names are their robot's own business.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Let rules of several robots have one name, and find them by it all the same."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
    else:
        op.drop_constraint("uq_trust_rules_name", "trust_rules")
        op.create_unique_constraint("uq_trust_rules_robot_id_name", "trust_rules", ["robot_id", "name"])
        op.drop_index("ix_trust_rules_robot_id", "trust_rules")
        op.drop_index("ix_trust_rules_issuer", "trust_rules")
    op.create_index("ix_trust_rules_issuer", "trust_rules", ["issuer", "id"])
    op.create_index("ix_trust_rules_name", "trust_rules", ["name", "id"])


def _make_anew() -> None:
    """SQLite takes no constraint away; nothing refers to this table, so another one takes its place."""
    op.create_table(
        "trust_rules_0004",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("robot_id", KEY, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trust_rules"),
        sa.UniqueConstraint("robot_id", "name", name="uq_trust_rules_robot_id_name"),
        sa.ForeignKeyConstraint(["robot_id"], ["robots.id"], name="fk_trust_rules_robot_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    columns = (
        "id, name, robot_id, issuer, audience, conditions, disabled, created_at, created_by, last_used_at, version"
    )
    op.execute(f"INSERT INTO trust_rules_0004 ({columns}) SELECT {columns} FROM trust_rules")  # noqa: S608 - constants
    op.drop_table("trust_rules")
    op.rename_table("trust_rules_0004", "trust_rules")
