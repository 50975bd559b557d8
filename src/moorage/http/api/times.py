"""Moments in bodies and answers: RFC 3339 in the API, seconds since 1970 in the use cases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field


def _shown(value: Any) -> Any:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value


Moment = Annotated[datetime, BeforeValidator(_shown)]
"""Of an answer; made of seconds."""

GivenMoment = Annotated[AwareDatetime, Field(strict=False, examples=["2030-01-31T12:00:00Z"])]
"""Of a body; a text with its offset from UTC."""


def as_seconds(moment: datetime | None) -> float | None:
    """Seconds since 1970; None for None."""
    return None if moment is None else moment.timestamp()
