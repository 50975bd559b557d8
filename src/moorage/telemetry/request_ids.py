"""Names for requests, which an answer, the access log and the program's log have in common."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIds:
    """Unique request ids at the price of a counter. Build one in each worker process, after the fork.

    An id is 64 random bits of the process and a counter, 24 or more hexadecimal digits. It is unique, not
    secret: who sees one can guess the next.

    Args:
        random: gives that many random bytes.
    """

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._prefix = random(8).hex()
        self._counter = itertools.count(1)

    def new(self) -> str:
        """An id that no other request has, in this process or another."""
        return f"{self._prefix}{next(self._counter):08x}"

    def choose(self, incoming: str | bytes | None) -> str:
        """The id that a client or proxy sent in `X-Request-ID`; a new one where that is absent or unfit.

        Fit is `[A-Za-z0-9._-]{1,64}`: anything else could forge log lines or headers, or fill the log.
        """
        if incoming is None:
            return self.new()
        text = incoming.decode("latin-1") if isinstance(incoming, bytes) else incoming
        return text if _ACCEPTABLE.fullmatch(text) else self.new()
