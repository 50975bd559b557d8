"""Hashes of uploads under way, kept between the requests of one worker.

`hashlib` cannot write its state down. A request that lands in another worker finds none here, and the bytes are
hashed again once, at the end.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.core.digest import Digest, digest_from, new_hash

if TYPE_CHECKING:
    from moorage.core.digest import Hash

MOST = 2048
"""Uploads remembered in a worker; the oldest is forgotten first and costs one more reading at its end."""


Stamp = tuple[int, int, int]
"""Inode, time of change and time of status change of a file."""


@dataclass(slots=True)
class Running:
    """The hash of the first `size` bytes of an upload."""

    algorithm: str
    size: int
    state: Hash

    def update(self, data: bytes) -> None:
        """Add the bytes that follow."""
        self.state.update(data)
        self.size += len(data)

    def digest(self) -> Digest:
        """The digest so far."""
        return digest_from(self.algorithm, self.state)


class RunningHashes:
    """The running hashes of one worker, by upload key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Running, Stamp]] = OrderedDict()

    def take(self, key: str, size: int, algorithm: str, stamp: Stamp) -> Running | None:
        """The hash to go on with at `size`: the one kept, a fresh one at the beginning, or None.

        One that was kept counts only for the file as it was left (`stamp`): another worker may have cut it back and
        filled it again.
        """
        kept, seen = self._kept.pop(key, (None, None))
        if kept is not None and seen == stamp and kept.size == size and (kept.algorithm == algorithm or size):
            return kept
        return Running(algorithm, 0, new_hash(algorithm)) if size == 0 else None

    def keep(self, key: str, running: Running, stamp: Stamp) -> None:
        """Remember a hash for the next request."""
        self._kept[key] = running, stamp
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget an upload's hash."""
        self._kept.pop(key, None)
