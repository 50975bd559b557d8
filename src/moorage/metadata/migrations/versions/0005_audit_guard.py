"""The audit log is guarded against plain SQL that goes round the triggers of 0002.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# An anchor gives up entries: it must be of an entry that is there, beyond the anchor before it, and the log must say in
# the same transaction that these entries go. Only the sealer writes a sequence, never twice the same, and the mark of
# the newest one only goes forward, to an entry that is there.
NAMED = (
    "EXISTS (SELECT 1 FROM audit WHERE sequence IS NULL AND action = 'audit.trim'"
    " AND detail LIKE '%\"last\":' || CAST(NEW.sequence AS TEXT) || '}')"
)
THERE = "EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND hash = NEW.hash)"
TAKEN_ID = "EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)"
TAKEN_PLACE = "EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND id <> OLD.id)"
BEYOND = "NOT EXISTS (SELECT 1 FROM audit_anchors WHERE sequence >= NEW.sequence)"
SUPERSEDED = "OLD.sequence < (SELECT max(sequence) FROM audit_anchors)"
FORWARD = f"OLD.name = 'head' AND NEW.name = 'head' AND NEW.sequence > OLD.sequence AND {THERE}"
HEAD = "OLD.name = 'head' OR NEW.name = 'head'"

REFUSAL = "the audit log is append-only"


def upgrade() -> None:
    """Make the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgres()


def _sqlite() -> None:
    """REPLACE removes rows without a word to the triggers for that (unless `recursive_triggers` is on)."""
    for name, when in (
        (
            "audit_addition",
            f"BEFORE INSERT ON audit WHEN NEW.sequence IS NOT NULL OR NEW.hash IS NOT NULL OR {TAKEN_ID}",
        ),
        (
            "audit_place",
            f"BEFORE UPDATE OF sequence ON audit WHEN {TAKEN_PLACE}",
        ),
        ("audit_anchor", f"BEFORE INSERT ON audit_anchors WHEN NOT ({BEYOND} AND {THERE} AND {NAMED})"),
        ("audit_anchor_change", "BEFORE UPDATE ON audit_anchors"),
        ("audit_anchor_removal", f"BEFORE DELETE ON audit_anchors WHEN NOT ({SUPERSEDED})"),
        ("audit_head_addition", "BEFORE INSERT ON audit_marks WHEN NEW.name = 'head'"),
        ("audit_head", f"BEFORE UPDATE ON audit_marks WHEN ({HEAD}) AND NOT ({FORWARD})"),
        ("audit_head_removal", "BEFORE DELETE ON audit_marks WHEN OLD.name = 'head'"),
    ):
        op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")


def _postgres() -> None:
    """Conditions that ask another table cannot stand at the trigger; those that need not, spare the call."""
    for name, lets in (
        ("audit_refusal", ""),
        ("audit_anchor", f"IF {BEYOND} AND {THERE} AND {NAMED} THEN RETURN NEW; END IF;"),
        ("audit_anchor_removal", f"IF {SUPERSEDED} THEN RETURN OLD; END IF;"),
        ("audit_head", f"IF {FORWARD} THEN RETURN NEW; END IF;"),
    ):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" {lets} RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
    row, table = "FOR EACH ROW", "FOR EACH STATEMENT"
    sealed = f"{row} WHEN (NEW.sequence IS NOT NULL OR NEW.hash IS NOT NULL)"
    for name, when, each, function in (
        ("audit_addition", "BEFORE INSERT ON audit", sealed, "audit_refusal"),
        ("audit_anchor", "BEFORE INSERT ON audit_anchors", row, "audit_anchor"),
        ("audit_anchor_change", "BEFORE UPDATE ON audit_anchors", row, "audit_refusal"),
        ("audit_anchor_removal", "BEFORE DELETE ON audit_anchors", row, "audit_anchor_removal"),
        ("audit_anchor_emptying", "BEFORE TRUNCATE ON audit_anchors", table, "audit_refusal"),
        ("audit_head_addition", "BEFORE INSERT ON audit_marks", f"{row} WHEN (NEW.name = 'head')", "audit_refusal"),
        ("audit_head", "BEFORE UPDATE ON audit_marks", f"{row} WHEN ({HEAD})", "audit_head"),
        ("audit_head_removal", "BEFORE DELETE ON audit_marks", f"{row} WHEN (OLD.name = 'head')", "audit_refusal"),
        ("audit_mark_emptying", "BEFORE TRUNCATE ON audit_marks", table, "audit_refusal"),
    ):
        op.execute(f"CREATE TRIGGER {name} {when} {each} EXECUTE FUNCTION {function}()")
