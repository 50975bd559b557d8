"""The wiring of the management API: its use cases, for the server's door and for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.http.api.door import ApiDoor

if TYPE_CHECKING:
    from moorage.auth.ports import Authenticator
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the use cases are built of.

    Attributes:
        database, clock: facts and time.
        mode: "none", "htpasswd", "token" or "local", as in the settings.
        authenticator: says who asks; None where the registry is open.
        prefix: of all addresses, without a slash at the end.
    """

    database: Database
    clock: Clock
    mode: str = "none"
    authenticator: Authenticator | None = None
    prefix: str = ""


def api_door(parts: ApiParts) -> ApiDoor:
    """The door; everything behind it is imported when the first request comes."""

    def load() -> Any:
        from moorage.accounts.sessions import Sessions
        from moorage.http.api.app import build
        from moorage.http.api.who import WhoAsks

        sessions = Sessions(parts.database, parts.clock) if parts.mode == "local" else None
        return build(services(parts), WhoAsks(parts.mode, parts.authenticator, sessions), parts.prefix)

    return ApiDoor(None if parts.mode == "token" else load)


def services(parts: ApiParts) -> dict[type, object]:
    """All use cases of the API, by their class."""
    from moorage.accounts.sessions import Sessions

    return {Sessions: Sessions(parts.database, parts.clock)}
