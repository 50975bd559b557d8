"""All routers of the management API. A new one is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.http.api import me

if TYPE_CHECKING:
    from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = (me.router,)
