"""The tables of who may do what.

    users ──< group_members >── groups       projects ──< grants (principal x project or glob x role)
      ├──< access_tokens (PATs)                 └──< robots ──< robot_secrets, trust_rules (keyless CI)
      └──< sessions (pages)                  refresh_tokens (of a user or robot)   signing_keys   limit_counters
    audit    what happened, chained by hashes; audit_anchors: where a trimmed chain begins

No secret is here in the clear: passwords as argon2id, random secrets as SHA-256, private keys encrypted.
`epoch` counts up whenever everything that was given out before must end (new password, disabled); `version` counts up
with every change and is the object's ETag.
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
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from moorage.metadata.tables import Key, Ordered, metadata

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("email", Text, nullable=False, default=""),
    Column("password", Text, nullable=True),
    Column("admin", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text, nullable=True),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("last_login_at", Double, nullable=True),
    Column("version", Integer, nullable=False),
    UniqueConstraint("name"),
    UniqueConstraint("source", "subject"),
    sqlite_autoincrement=True,
)
Index("ix_users_admins", users.c.id, sqlite_where=users.c.admin, postgresql_where=users.c.admin)
"""`source`: local, ldap:<name> or oidc:<name>; `subject`: who that is there, whatever the name becomes."""

groups = Table(
    "groups",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("source", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", Key, ForeignKey("groups.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("source", Text, nullable=False),
    PrimaryKeyConstraint("group_id", "user_id"),
    Index("ix_group_members_user_id", "user_id"),
    sqlite_with_rowid=False,
)
"""`source` says who put the user there; a login through LDAP or OIDC replaces only what that source had said."""

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("user_id", Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=True),
    Column("last_used_at", Double, nullable=True),
    Column("version", Integer, nullable=False),
    UniqueConstraint("hash"),
    UniqueConstraint("user_id", "name"),
    sqlite_autoincrement=True,
)
"""Personal access tokens. `scopes`: a JSON list in Docker's grammar, empty for all that the owner may."""

robots = Table(
    "robots",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("project_id", Key, ForeignKey("projects.id", ondelete="CASCADE"), nullable=True),
    Column("description", Text, nullable=False, default=""),
    Column("disabled", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False, default=""),
    Column("expires_at", Double, nullable=True),
    Column("last_used_at", Double, nullable=True),
    Column("version", Integer, nullable=False),
    UniqueConstraint("name"),
    Index("ix_robots_project_id", "project_id", "name"),
    sqlite_autoincrement=True,
)
"""Service accounts: `<project>+<name>` of a project, `+<name>` of the system (`project_id` NULL)."""

robot_secrets = Table(
    "robot_secrets",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("robot_id", Key, ForeignKey("robots.id", ondelete="CASCADE"), nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=True),
    UniqueConstraint("hash"),
    Index("ix_robot_secrets_robot_id", "robot_id"),
    sqlite_autoincrement=True,
)
"""Two at a time while one is being rotated."""

trust_rules = Table(
    "trust_rules",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("robot_id", Key, ForeignKey("robots.id", ondelete="CASCADE"), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("conditions", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False, default=""),
    Column("last_used_at", Double, nullable=True),
    Column("version", Integer, nullable=False),
    UniqueConstraint("robot_id", "name"),
    Index("ix_trust_rules_issuer", "issuer", "id"),
    Index("ix_trust_rules_name", "name", "id"),
    sqlite_autoincrement=True,
)
"""Whose OIDC tokens are as good as a robot's secret. `conditions`: JSON, see `moorage.auth.trust`."""

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("hash", Text, nullable=False),
    Column("user_id", Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=True),
    Column("robot_id", Key, ForeignKey("robots.id", ondelete="CASCADE"), nullable=True),
    Column("access_token_id", Key, ForeignKey("access_tokens.id", ondelete="CASCADE"), nullable=True),
    Column("epoch", Integer, nullable=False),
    Column("service", Text, nullable=False),
    Column("client_id", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=True),
    UniqueConstraint("hash"),
    Index("ix_refresh_tokens_user_id", "user_id"),
    Index("ix_refresh_tokens_robot_id", "robot_id"),
    Index("ix_refresh_tokens_access_token_id", "access_token_id"),
    Index("ix_refresh_tokens_expires_at", "expires_at"),
    sqlite_autoincrement=True,
)
"""`access_token_id`: the personal access token that it was given for, whose scopes narrow it."""

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("public", Text, nullable=False),
    Column("private", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("signs_from", Double, nullable=False),
    Column("ends_at", Double, nullable=True),
)
"""`public`: a JWK; `private`: encrypted. Known to verifiers from `created_at`, signs from `signs_from` until a newer
one does, verifies until `ends_at`."""

sessions = Table(
    "sessions",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Key, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("address", Text, nullable=False, default=""),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("name", Ordered, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("visibility", Text, nullable=False),
    Column("create_on_push", Text, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("settings", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False, default=""),
    Column("version", Integer, nullable=False),
    UniqueConstraint("name"),
    Index("ix_projects_public", "public", "name"),
    sqlite_autoincrement=True,
)
"""`visibility`: inherit, public or private, and `public` what that comes to; `create_on_push`: inherit, no,
repositories or projects; `settings`: JSON for what later rooms keep here. The row with id 1 and an empty name is the
root, above all others."""

grants = Table(
    "grants",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("project_id", Key, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("pattern", Text, nullable=False),
    Column("principal_kind", Text, nullable=False),
    Column("principal_id", Key, nullable=False),
    Column("effect", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False, default=""),
    Column("expires_at", Double, nullable=True),
    Column("version", Integer, nullable=False),
    Index("ix_grants_project_id", "project_id", "id"),
    Index("ix_grants_principal", "principal_kind", "principal_id"),
    Index(
        "ix_grants_same",
        "project_id",
        "principal_kind",
        "principal_id",
        "pattern",
        "effect",
        "role",
        "actions",
        unique=True,
    ),
    sqlite_autoincrement=True,
)
"""`pattern`: empty for the whole project, else a glob that repository names (in full) match; `principal_kind`: user,
group, robot, and with id 0 anonymous and authenticated; `effect`: allow or deny; `role` is empty where `actions`
(words with commas between) were chosen one by one. Nothing is said twice, whatever the note and the end. Who removes a
principal removes its grants."""

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target", Ordered, nullable=False),
    Column("project_id", Key, nullable=True),
    Column("detail", Text, nullable=False),
    Column("sequence", BigInteger, nullable=True),
    Column("hash", Text, nullable=True),
    UniqueConstraint("sequence"),
    Index("ix_audit_at", "at"),
    Index("ix_audit_actor", "actor", "id"),
    Index("ix_audit_project_id", "project_id", "id"),
    Index("ix_audit_target", "target_kind", "target", "id"),
    sqlite_autoincrement=True,
)
Index(
    "ix_audit_unsealed",
    audit.c.id,
    sqlite_where=audit.c.sequence.is_(None),
    postgresql_where=audit.c.sequence.is_(None),
)
"""Written in the transaction of the change; the sealer gives `sequence` and `hash` soon after, row by row."""

audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("removed", BigInteger, nullable=False),
)
"""The last entry that retention removed, so that what is left still verifies; and how many went with it."""

audit_marks = Table(
    "audit_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("at", Double, nullable=False),
)
"""How far something has come along the chain: `head`, the newest entry that was sealed; `syslog`, the newest one that
the collector got."""

limit_counters = Table(
    "limit_counters",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_limit_counters_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)
