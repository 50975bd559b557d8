"""Give out a registry token: what was asked for and is allowed, bound to the repositories that the names mean now."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moorage.auth.registry_tokens import Allowed, Claims, claims_size, write_token
from moorage.core.access import ANONYMOUS
from moorage.core.audit import OK, AuditEntry
from moorage.core.scopes import write_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.accounts.journal import Journal
    from moorage.accounts.keys import Keys
    from moorage.auth.ports import Policy
    from moorage.auth.settings import LocalSettings
    from moorage.core.access import Caller, Identity, Scope
    from moorage.core.clock import Clock

LONGEST_CLAIMS = 7500
"""Characters of the claims in a token: with header and signature it stays below what is read of one again (8 KiB)."""

_SCOPES_NOTED = 20
"""Scopes of one token that the audit log keeps."""


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A token that was given out.

    expires_in: seconds. issued_at: seconds since 1970, whole ones. granted: what it allows.
    """

    token: str
    expires_in: int
    issued_at: int
    granted: tuple[Scope, ...]


class Issue:
    """Makes tokens.

    Args:
        policy: what an identity may do.
        keys: signs.
        settings: issuer, service, lifetime.
        journal: where each token is noted.
        clock: for its times.
    """

    def __init__(self, policy: Policy, keys: Keys, settings: LocalSettings, journal: Journal, clock: Clock) -> None:
        self._policy = policy
        self._keys = keys
        self._settings = settings
        self._journal = journal
        self._clock = clock

    async def token(self, caller: Caller, scopes: Sequence[Scope], client: str = "") -> Issued:
        """A token for `caller.identity`: what of `scopes` is allowed; asking for more is no error.

        Args:
            caller: who, from where.
            scopes: what is asked for; none gives a token that only says who that is.
            client: what the client calls itself.

        Raises:
            Unavailable: the database does not answer, or there is no key yet.
        """
        granted = await self._policy.granted(caller.identity, scopes)
        now = int(self._clock.now())
        claims = self._claims(caller.identity, now)
        kept: list[Scope] = []
        for scope in granted:
            claims.access.append(await self._bound(scope))
            if claims_size(claims) > LONGEST_CLAIMS:
                claims.access.pop()
                break
            kept.append(scope)
        token = write_token(self._keys.signer(), claims)
        self._note(caller, claims.jti, kept, client)
        return Issued(token, self._settings.token_seconds, now, tuple(kept))

    def _claims(self, identity: Identity, now: int) -> Claims:
        return Claims(
            iss=self._settings.issuer,
            aud=self._settings.service,
            sub=identity.name,
            exp=now + self._settings.token_seconds,
            nbf=now,
            iat=now,
            jti=secrets.token_hex(16),
            access=[],
            kind=identity.kind,
            uid=identity.id,
            pat=identity.pat,
        )

    async def _bound(self, scope: Scope) -> Allowed:
        actions = sorted(scope.actions)
        if scope.type != "repository":
            return Allowed(scope.type, scope.name, actions)
        binding = await self._policy.binding(scope.name)
        return Allowed(scope.type, scope.name, actions, binding.project, binding.repository)

    def _note(self, caller: Caller, jti: str, granted: Sequence[Scope], client: str) -> None:
        detail: dict[str, object] = {"scopes": [write_scope(scope)[:300] for scope in granted[:_SCOPES_NOTED]]}
        if len(granted) > _SCOPES_NOTED:
            detail["more"] = len(granted) - _SCOPES_NOTED
        if client:
            detail["client"] = client[:100]
        # Whoever has no name may ask for as many as they like, and gets what everybody has.
        nobody = caller.identity.kind == ANONYMOUS.kind
        entry = AuditEntry("token.issue", OK, caller, "token", "" if nobody else jti, detail=detail)
        self._journal.note(entry, gather=nobody)
