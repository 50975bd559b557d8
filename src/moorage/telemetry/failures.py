"""What the log says of an error: a fault of the program with its traceback, what was expected on one line."""

from __future__ import annotations

from moorage.core.errors import StorageFull, Unavailable

MAX_REASON = 1000
"""Characters of what the driver, the kernel or a note of ours (`add_note`) said."""


def told_of(error: Exception) -> dict[str, object]:
    """What to log beside the sentence: `log.error("request failed", **told_of(error))`.

    A full disk, or a database that is away, is met by every request meanwhile, and the log may lie on the same disk.
    """
    if not isinstance(error, StorageFull | Unavailable):
        return {"exc_info": error}
    reasons = [str(note) for note in getattr(error, "__notes__", ())]
    root = _root_of(error)
    if root is not error:
        # The first line: in the others SQLAlchemy has the statement with its values.
        reasons.append(f"{type(root).__name__}: {str(root).partition(chr(10))[0]}")
    return {"error": error.message, **({"reason": "; ".join(reasons)[:MAX_REASON]} if reasons else {})}


def _root_of(error: BaseException) -> BaseException:
    """What it was at first. An error that is raised again `from` itself is its own cause."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error
