"""Moments in bodies and answers: RFC 3339 in the API, seconds since 1970 in the use cases."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

NO_MOMENT = "no_moment"
"""The type of the error where something else stands in a moment's place."""

WRITTEN = (
    "A time is written as RFC 3339 has it, with seconds and the offset from UTC: 2030-01-31T12:00:00Z"
    " (in an address, + is written %2B)."
)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _shown(value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


Moment = Annotated[datetime, BeforeValidator(_shown)]
"""Of an answer; made of seconds."""


def _read(value: Any) -> datetime:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        with suppress(ValueError):  # 31 February
            return datetime.fromisoformat(value.upper())
    raise PydanticCustomError(NO_MOMENT, WRITTEN)


GivenMoment = Annotated[AwareDatetime, BeforeValidator(_read), Field(strict=False, examples=["2030-01-31T12:00:00Z"])]
"""Of a body or a query: RFC 3339 section 5.6, and nothing else that could be taken for a time, such as a year."""


def as_seconds(moment: datetime | None) -> float | None:
    """Seconds since 1970; None for None."""
    return None if moment is None else moment.timestamp()
