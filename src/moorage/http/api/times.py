"""Moments in bodies and answers: seconds since 1970, as everywhere in the program."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LAST = 1e11

Moment = Annotated[float, Field(ge=0, lt=LAST, description="Seconds since 1970.", examples=[1900000000.0])]
