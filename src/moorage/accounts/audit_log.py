"""Reading the audit log: a page of it, all of it as JSON lines, and whether it is what was written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from moorage.core.errors import Invalid
from moorage.metadata.audit_chain import (
    BEGINNING,
    HEAD,
    Mark,
    Row,
    chained,
    link,
    marked,
    newest_anchor,
    unsealed,
    untold_cut,
)
from moorage.metadata.audit_list import AuditFilter, bounds, entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from moorage.metadata.database import Database

__all__ = ["AuditFilter", "AuditLog", "AuditPage", "Finding", "Verdict", "as_json"]

STEP = 500
"""Entries that are in memory at a time."""

WINDOW = 20_000
"""Ids that one query goes through where no index leads to what is wanted."""

WINDOWS = 50
"""Of these, how many one page goes through before it is given back shorter than asked for, with where to go on."""

MOST_FINDINGS = 100
"""What is wrong is counted to the end and told up to this many times."""

OUTCOMES = ("ok", "refused", "failed")


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, and the `after` for the next page; None where nothing follows."""

    entries: list[Row]
    next: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with the chain.

    Attributes:
        kind: `changed` (its content or its hash), `missing`, `reordered`, `added`; `erased`: everything up to it is
            gone as if by retention, which did not do it.
        sequence: of the entry; of the first one where several are missing.
        id: of the entry; 0 where it is missing.
        last: the last of several that are missing; else the same as `sequence`.
    """

    kind: str
    sequence: int
    id: int
    last: int

    @property
    def sentence(self) -> str:
        """For people."""
        if self.kind == "missing" and self.last > self.sequence:
            return f"entries {self.sequence} to {self.last} are missing"
        if self.kind == "missing":
            return f"entry {self.sequence} is missing"
        if self.kind == "erased":
            return f"everything up to entry {self.sequence} was removed, and no entry audit.trim tells of it"
        where = f"entry {self.sequence} (id {self.id})"
        if self.kind == "changed":
            return f"{where} was changed, or the one before it together with its hash"
        return f"{where} stands in the wrong place" if self.kind == "reordered" else f"{where} was added"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found by going through the whole chain.

    Attributes:
        checked: how many sealed entries were gone through.
        first, last: their first and last sequence; 0 where there is none.
        hash: of the last one: whoever writes it down elsewhere can prove later that nothing before it was changed.
        anchor: the sequence where retention cut last; 0 where nothing was removed.
        removed: how many entries retention removed.
        wrong: how many things are wrong; `findings` tells the first ones.
        waiting: entries that are not sealed yet.
        waiting_since: time of the oldest of these; None without.
    """

    checked: int
    first: int
    last: int
    hash: str
    anchor: int
    removed: int
    wrong: int
    findings: list[Finding]
    waiting: int
    waiting_since: float | None

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


class AuditLog:
    """The audit log of the whole system; who may read what is asked before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, wanted: AuditFilter, *, after: int | None = None, limit: int = 100, newest_first: bool = True
    ) -> AuditPage:
        """A page of entries in the order of their ids.

        Where no index leads to what is wanted, a page may be shorter than asked for, or empty, and still say where to
        go on: no request goes through the whole log.

        Args:
            wanted: which.
            after: the `next` of the page before.
            limit: entries on the page, at least 1.
            newest_first: the order.

        Raises:
            Invalid: the filter makes no sense.
        """
        _check(wanted)
        low, high = await self._database.read(partial(bounds, wanted=wanted))
        if after is not None:
            low, high = (low, min(high, after - 1)) if newest_first else (max(low, after + 1), high)
        found: list[Row] = []
        for _ in range(WINDOWS):
            if low > high or len(found) >= limit:
                break
            start, stop = _window(low, high, newest_first=newest_first, whole=wanted.indexed)
            query = partial(entries, wanted=wanted, low=start, high=stop, newest_first=newest_first)
            rows = await self._database.read(partial(query, limit=limit - len(found)))
            found += rows
            if len(found) >= limit:
                start, stop = rows[-1].id, rows[-1].id
            low, high = (low, start - 1) if newest_first else (stop + 1, high)
        return AuditPage(found, None if low > high else (high + 1 if newest_first else low - 1))

    async def export(self, wanted: AuditFilter) -> AsyncIterator[bytes]:
        """All wanted entries, oldest first, one JSON object a line; some hundred lines at a time.

        Raises:
            Invalid: the filter makes no sense.
        """
        after: int | None = 0
        while after is not None:
            page = await self.list(wanted, after=after, limit=STEP, newest_first=False)
            if page.entries:
                yield b"".join(orjson.dumps(as_json(row), option=orjson.OPT_APPEND_NEWLINE) for row in page.entries)
            after = page.next

    async def verify(
        self, known: Mark | None = None, progress: Callable[[int], None] = lambda _sequence: None
    ) -> Verdict:
        """Go through the chain from where retention cut to its end.

        Somebody who can write to the database and works out all later hashes anew is found out only by a hash that was
        kept elsewhere: give it as `known` (the collector of syslog messages has that of every entry).

        Args:
            known: the hash that an entry is known to have had.
            progress: told the sequence of the last entry that was looked at.
        """
        head = await self._database.read(partial(marked, name=HEAD)) or Mark(0, BEGINNING)
        anchor = await self._database.read(newest_anchor)
        walk = _Walk(Mark(anchor.sequence, anchor.hash) if anchor else Mark(0, BEGINNING), head, known)
        while rows := await self._database.read(partial(chained, after=walk.place.sequence, limit=STEP)):
            if rows[0].sequence != walk.place.sequence + 1:
                moved = await self._database.read(newest_anchor)
                if moved is not None and moved.sequence > walk.place.sequence:  # retention went by
                    anchor, walk.place = moved, Mark(moved.sequence, moved.hash)
                    continue
            following = await self._database.read(partial(chained, after=rows[-1].sequence or 0, limit=1))
            walk.through(rows, following)
            progress(walk.place.sequence)
        walk.end()
        erased = await self._database.read(untold_cut)
        if erased is not None:
            walk.erased(erased.sequence)
        waiting, since = await self._database.read(unsealed)
        return Verdict(
            walk.checked,
            walk.first,
            walk.place.sequence if walk.checked else 0,
            walk.place.hash,
            anchor.sequence if anchor else 0,
            anchor.removed if anchor else 0,
            walk.wrong,
            walk.findings,
            waiting,
            since,
        )


class _Walk:
    """Goes along the chain and notes what is wrong."""

    def __init__(self, place: Mark, head: Mark, known: Mark | None) -> None:
        self.place = place
        self.first = 0
        self.checked = 0
        self.wrong = 0
        self.findings: list[Finding] = []
        self._head = head
        self._known = {head.sequence: head.hash}
        if known is not None:
            self._known.setdefault(known.sequence, known.hash)
            self._head = max(head, known)
        self._swapped: tuple[str, str] | None = None

    def through(self, rows: list[Row], following: list[Row]) -> None:
        """Look at some entries; `following` is the one after them, which tells what became of the last."""
        for row, after in zip(rows, [*rows[1:], *following, None], strict=False):
            self._look(row, after)

    def end(self) -> None:
        """Was that all? The sealer wrote down the newest entry, and that was read before this began."""
        if self._head.sequence > self.place.sequence:
            self._note("missing", self.place.sequence + 1, 0, self._head.sequence)

    def erased(self, sequence: int) -> None:
        """Note that entries went, up to `sequence`, and not by retention."""
        self._note("erased", sequence, 0)

    def _look(self, row: Row, after: Row | None) -> None:
        sequence, digest = row.sequence or 0, row.hash or ""
        if sequence > self.place.sequence + 1:
            # Whether this one was changed too cannot be told; the entry after it follows from it all the same.
            self._note("missing", self.place.sequence + 1, 0, sequence - 1)
        elif self._swapped is not None and self._swapped[0] == digest:
            digest, self._swapped = self._swapped[1], None
        elif link(self.place.hash, row) != row.hash:
            digest = self._wrong(row, after)
        elif self._known.get(sequence, digest) != digest:
            self._note("changed", sequence, row.id)
        self.first = self.first or sequence
        self.checked += 1
        self.place = Mark(sequence, digest)

    def _wrong(self, row: Row, after: Row | None) -> str:
        """Note what happened to an entry that does not follow from the one before; from which hash to go on."""
        sequence = row.sequence or 0
        if after is not None and after.hash is not None and link(self.place.hash, after) == after.hash:
            # The one after it is what followed once: this one stands in between.
            if link(after.hash, row) == row.hash:
                self._note("reordered", sequence, row.id)
                self._swapped = after.hash, row.hash
                return row.hash
            self._note("added", sequence, row.id)
            return self.place.hash
        self._note("added" if sequence > self._head.sequence else "changed", sequence, row.id)
        return row.hash or ""

    def _note(self, kind: str, sequence: int, identifier: int, last: int = 0) -> None:
        self.wrong += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind, sequence, identifier, last or sequence))


def as_json(row: Row) -> dict[str, object]:
    """An entry as programs read it: JSON values, without what is empty."""
    whole = row._asdict() | {"detail": orjson.loads(row.detail)}
    return {name: value for name, value in whole.items() if value not in (None, "", {})}


def _check(wanted: AuditFilter) -> None:
    if wanted.target and not wanted.target_kind:
        raise Invalid("A target needs its kind: repository, user, group, robot, token, project, grant, key or system.")
    if wanted.outcome and wanted.outcome not in OUTCOMES:
        raise Invalid(f"The outcome is one of {', '.join(OUTCOMES)}.")


def _window(low: int, high: int, *, newest_first: bool, whole: bool) -> tuple[int, int]:
    if whole:
        return low, high
    return (max(low, high - WINDOW + 1), high) if newest_first else (low, min(high, low + WINDOW - 1))
