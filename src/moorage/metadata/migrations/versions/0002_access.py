"""Who may do what: projects, users, groups, robots, tokens, grants, the audit log.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and the root project that every repository belongs to at first."""
    _projects()
    _users()
    _tokens()
    _robots()
    _given_out()
    _grants()
    _audit()
    _append_only()
    _root()


CONTENT = "id, at, action, outcome, actor_kind, actor, credential, address, request_id, target_kind, target, detail"


def _append_only() -> None:
    """Have the database refuse to change an audit entry, and to remove one that retention gave up by no anchor.

    That stops mistakes and curious fingers; who may drop a trigger is found out by the chain.
    """
    if op.get_bind().dialect.name == "sqlite":
        kept = "OLD.sequence IS NULL OR OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM audit_anchors)"
        for name, when in (
            ("audit_content", f"BEFORE UPDATE OF {CONTENT}, project_id ON audit"),
            ("audit_seal", "BEFORE UPDATE OF sequence, hash ON audit WHEN OLD.hash IS NOT NULL"),
            ("audit_removal", f"BEFORE DELETE ON audit WHEN {kept}"),
        ):
            op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END")
        return
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF TG_OP = 'DELETE' AND OLD.sequence <= (SELECT max(sequence) FROM audit_anchors) THEN RETURN OLD; END IF;"
        " RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    for name, when, each in (
        ("audit_content", f"BEFORE UPDATE OF {CONTENT}, project_id ON audit", "FOR EACH ROW"),
        ("audit_seal", "BEFORE UPDATE OF sequence, hash ON audit", "FOR EACH ROW WHEN (OLD.hash IS NOT NULL)"),
        ("audit_removal", "BEFORE DELETE ON audit", "FOR EACH ROW"),
        ("audit_emptying", "BEFORE TRUNCATE ON audit", "FOR EACH STATEMENT"),
    ):
        op.execute(f"CREATE TRIGGER {name} {when} {each} EXECUTE FUNCTION audit_append_only()")


def _root() -> None:
    op.execute(
        "INSERT INTO projects (id, name, description, visibility, create_on_push, public, settings, created_at,"
        " created_by, version) VALUES (1, '', '', 'private', 'repositories', false, '{}', 0, '', 1)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('projects', 'id'), 1)")
    op.add_column("repositories", sa.Column("project_id", KEY, nullable=False, server_default="1"))
    op.add_column("repositories", sa.Column("public", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_repositories_project_id", "repositories", ["project_id", "name"])
    op.create_index(
        "ix_repositories_public",
        "repositories",
        ["name"],
        sqlite_where=sa.text("public = 1"),
        postgresql_where=sa.text("public"),
    )


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("create_on_push", sa.Text(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_projects_public", "projects", ["public", "name"])


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("last_login_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sa.UniqueConstraint("source", "subject", name="uq_users_source_subject"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_users_admins", "users", ["id"], sqlite_where=sa.text("admin = 1"), postgresql_where=sa.text("admin")
    )
    op.create_table(
        "groups",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("name", name="uq_groups_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_members"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_group_members_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_group_members_user_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def _tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        sa.UniqueConstraint("hash", name="uq_access_tokens_hash"),
        sa.UniqueConstraint("user_id", "name", name="uq_access_tokens_user_id_name"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_access_tokens_user_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )


def _robots() -> None:
    op.create_table(
        "robots",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
        sa.Column("project_id", KEY, nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_robots"),
        sa.UniqueConstraint("name", name="uq_robots_name"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_robots_project_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_robots_project_id", "robots", ["project_id", "name"])
    op.create_table(
        "robot_secrets",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("robot_id", KEY, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_robot_secrets"),
        sa.UniqueConstraint("hash", name="uq_robot_secrets_hash"),
        sa.ForeignKeyConstraint(["robot_id"], ["robots.id"], name="fk_robot_secrets_robot_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_robot_secrets_robot_id", "robot_secrets", ["robot_id"])
    op.create_table(
        "trust_rules",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", ORDERED, nullable=False),
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
        sa.UniqueConstraint("name", name="uq_trust_rules_name"),
        sa.ForeignKeyConstraint(["robot_id"], ["robots.id"], name="fk_trust_rules_robot_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trust_rules_issuer", "trust_rules", ["issuer"])
    op.create_index("ix_trust_rules_robot_id", "trust_rules", ["robot_id"])


def _given_out() -> None:
    op.create_table(
        "refresh_tokens",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("robot_id", KEY, nullable=True),
        sa.Column("access_token_id", KEY, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.UniqueConstraint("hash", name="uq_refresh_tokens_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_refresh_tokens_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["robot_id"], ["robots.id"], name="fk_refresh_tokens_robot_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["access_token_id"], ["access_tokens.id"], name="fk_refresh_tokens_access_token_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refresh_tokens_access_token_id", "refresh_tokens", ["access_token_id"])
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_index("ix_refresh_tokens_robot_id", "refresh_tokens", ["robot_id"])
    op.create_index("ix_refresh_tokens_user_id", "refresh_tokens", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("private", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("signs_from", sa.Double(), nullable=False),
        sa.Column("ends_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )


def _grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("project_id", KEY, nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("principal_kind", sa.Text(), nullable=False),
        sa.Column("principal_id", KEY, nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_grants_project_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_grants_principal", "grants", ["principal_kind", "principal_id"])
    op.create_index("ix_grants_project_id", "grants", ["project_id", "id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("target", ORDERED, nullable=False),
        sa.Column("project_id", KEY, nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sa.UniqueConstraint("sequence", name="uq_audit_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_actor", "audit", ["actor", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_project_id", "audit", ["project_id", "id"])
    op.create_index("ix_audit_target", "audit", ["target_kind", "target", "id"])
    op.create_index(
        "ix_audit_unsealed",
        "audit",
        ["id"],
        sqlite_where=sa.text("sequence IS NULL"),
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_table(
        "audit_anchors",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_anchors"),
    )
    op.create_table(
        "audit_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_audit_marks"),
    )
    marks = sa.table("audit_marks", *(sa.column(name) for name in ("name", "sequence", "hash", "at")))
    op.bulk_insert(marks, [{"name": "head", "sequence": 0, "hash": "0" * 64, "at": 0.0}])
    op.create_table(
        "limit_counters",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_limit_counters"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_limit_counters_expires_at", "limit_counters", ["expires_at"])
