"""All routers of the management API. A new one is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.http.api import (
    access,
    audit,
    grants,
    groups,
    keys,
    me,
    policies,
    projects,
    robots,
    search,
    sessions,
    tokens,
    trust_rules,
    users,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = (
    me.router,
    sessions.router,
    projects.router,
    grants.router,
    policies.router,
    access.router,
    search.router,
    users.router,
    groups.router,
    robots.router,
    tokens.router,
    trust_rules.router,
    audit.router,
    keys.router,
)
