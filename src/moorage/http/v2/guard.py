"""The guard of the distribution API: who asks, and whether they may.

Every decision follows from what is granted to whom alone, never from what there is: whoever may not see a repository
gets the same answer whether it exists or not.

    no credentials               401 UNAUTHORIZED, challenge with the scope that would do
    a token that cannot be read  401 UNAUTHORIZED, error="invalid_token"
    a token without the right    401 DENIED, error="insufficient_scope", the scope again
    credentials without it       403 DENIED
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.core.access import ANONYMOUS, EVERYTHING, NOTHING, OVERWRITE, PULL, PUSH, Caller
from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import Denied, InsufficientScope, NameInvalid, RegistryError, Unauthorized
from moorage.core.names import parse_name
from moorage.http.certificate import identify
from moorage.http.v2.routes import CATALOG, Table, endpoint, match

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.auth.ports import Authenticator, CertificateOwners, Policy
    from moorage.core.access import Identity
    from moorage.http.request import Request
    from moorage.http.v2.routes import Handler

CATALOG_SCOPE = "registry:catalog:*"
_ALL = "*"


class Guard:
    """Lets a request pass to its handler, with `request.caller` made.

    Args:
        authenticator: finds out who asks.
        policy: what they may do.
        certificates: whose client certificates are, asked where no other credentials came; None: nobody's.
        note: has what was refused written to the audit log.
        origins: of pages of other sites that may ask for changes with a user's password.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        policy: Policy,
        certificates: CertificateOwners | None = None,
        note: Callable[[AuditEntry], None] | None = None,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        self._origins = origins
        self._certificates = certificates
        self._note = note
        self._authenticator = authenticator
        self._policy = policy

    def knows(self, request: Request) -> bool:
        """Whether it can be told at once who asks: nobody, or somebody with a token that was verified before."""
        credentials = request.header(b"authorization")
        if credentials is None and self._certificates is not None:
            return False
        request.known = self._authenticator.known(credentials)
        return request.known is not None

    async def admit(self, request: Request, routes: Table) -> Handler:
        """The handler of a request that is allowed.

        Raises:
            Unauthorized: no credentials, wrong ones, or a token without the right; with the challenge.
            Denied: other credentials without the right.
            RegistryError: there is no such address, it has no such method, or the name in it is none.
        """
        try:
            return await self._admit(request, routes)
        except RegistryError as error:
            self._explain(request, error)
            raise

    async def review(self, request: Request, error: RegistryError) -> None:
        """Look once more at a request that its handler refused; `error` stands where nothing is raised here.

        Raises:
            InsufficientScope: the token was given for another repository of that name. What this one has and has not
                is nothing to its bearer.
        """
        if request.caller.bound is None:
            self._explain(request, error)
            return
        caller = request.caller
        rights = await self._rights(caller.identity, request.name)
        request.caller = replace(caller, rights=rights, bound=None)
        try:
            _check_repository(request, caller.identity, PULL)
        except RegistryError as refusal:
            self._explain(request, refusal)
            raise refusal from error

    def refused(self, request: Request) -> None:
        """Note that somebody known asked for what they may not; who is unknown has not been refused anything yet."""
        if self._note is not None:
            detail: dict[str, object] = {"method": request.method, "route": request.route}
            if request.reference:
                detail["reference"] = request.reference[:200]
            kind = "repository" if request.name else "system"
            self._note(AuditEntry("access", REFUSED, request.caller, kind, request.name, detail=detail))

    async def may_mount(self, request: Request, target: str, source: str) -> bool:
        """Whether a blob of `source` may be linked in `target`, going by rights alone.

        Raises:
            InsufficientScope: the token does not allow it, and its owner could have one that does.
        """
        identity = request.caller.identity
        if PULL in await self._rights(identity, source):
            return True
        if identity.access is None or PULL not in await self._policy.allowed(identity, source):
            return False
        error = InsufficientScope(
            scope=f"repository:{target}:pull,push repository:{source}:pull", error="insufficient_scope"
        )
        error.challenge = self._authenticator.challenge(request.origin(), error.scope, error.error)
        raise error

    def _explain(self, request: Request, error: RegistryError) -> None:
        """Give a refusal its challenge, and note it."""
        if isinstance(error, Unauthorized) and not error.challenge:
            error.challenge = self._authenticator.challenge(request.origin(), error.scope, error.error)
        if isinstance(error, Denied | InsufficientScope):
            self.refused(request)

    async def _admit(self, request: Request, routes: Table) -> Handler:
        identity = await self._identify(request)
        try:
            request.route, request.name, request.reference = match(request.path)
            found = endpoint(routes, request.route, request.method)
            if request.name:
                parse_name(request.name)
        except RegistryError as error:
            request.caller = Caller(identity, NOTHING, request.address, request.id)
            if identity is ANONYMOUS:
                raise Unauthorized from error
            raise
        request.caller = await self._caller(request, identity, compares=found.compares)
        if request.name:
            _check_repository(request, identity, found.access or PULL)
        elif identity is ANONYMOUS or (found.access == CATALOG and not _sees_catalog(identity)):
            raise _refusal(identity, CATALOG_SCOPE if found.access == CATALOG else "")
        return found.handler

    async def _caller(self, request: Request, identity: Identity, *, compares: bool) -> Caller:
        name = request.name
        allowed = identity.access.get(name) if compares and identity.access is not None else None
        if allowed is not None and allowed.binding is not None:
            return Caller(identity, allowed.actions, request.address, request.id, allowed.binding)
        rights = await self._rights(identity, name) if name else NOTHING
        return Caller(identity, rights, request.address, request.id)

    async def _identify(self, request: Request) -> Identity:
        if request.known is not None:
            return request.known
        return await identify(self._authenticator, self._certificates, request, self._origins)

    async def _rights(self, identity: Identity, name: str) -> frozenset[str]:
        """What somebody may do on a repository: as their token says, or as the policy does."""
        if identity.access is None:
            return await self._policy.allowed(identity, name)
        allowed = identity.access.get(name)
        if allowed is None:
            return NOTHING
        if allowed.binding is None:
            return _as_ours(allowed.actions)
        now = await self._policy.binding(name)
        if not allowed.binding.holds(now.project, now.repository):
            return NOTHING  # the name means something else than when the token was given
        return allowed.actions


def _check_repository(request: Request, identity: Identity, needed: str) -> None:
    if needed not in request.caller.rights:
        scope = f"repository:{request.name}:{'pull,push' if needed == PUSH else needed}"
        raise _refusal(identity, scope + _source_of(request))


def _source_of(request: Request) -> str:
    """The scope for the source of a mount, after that for its target: a client asks for a token once."""
    source = request.value("from") if request.route == "uploads" and request.values("mount") else None
    if source is None:
        return ""
    with suppress(NameInvalid):
        return f" repository:{parse_name(source)}:pull"
    return ""


def _sees_catalog(identity: Identity) -> bool:
    return identity.kind != ANONYMOUS.kind if identity.access is None else identity.catalog


def _as_ours(actions: frozenset[str]) -> frozenset[str]:
    """Actions of another issuer's token: its `push` moves tags too, as Distribution's does."""
    if _ALL in actions:
        return EVERYTHING
    return actions | {OVERWRITE} if PUSH in actions else actions


def _refusal(identity: Identity, scope: str) -> RegistryError:
    if identity is ANONYMOUS:
        return Unauthorized(scope=scope)
    if identity.access is not None:
        return InsufficientScope(scope=scope, error="insufficient_scope")
    return Denied("Your account does not have the right to do this, or there is nothing of that name.")
