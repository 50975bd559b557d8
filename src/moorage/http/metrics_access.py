"""Who may read `/metrics` at the public listener where the registry is not open: they tell what is going on here.

An admin of the system may; with a file of users everybody in it is one. A personal access token of limited scopes needs
the scope `registry:metrics:*`, and needs nothing else: that is what a collector of metrics should be given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.core.access import ANONYMOUS, NOTHING, Caller
from moorage.core.audit import REFUSED, AuditEntry
from moorage.core.errors import Denied, Unauthorized
from moorage.http.certificate import identify

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.auth.ports import Authenticator, CertificateOwners
    from moorage.core.access import Identity
    from moorage.http.request import Request

_CHALLENGE = 'Basic realm="moorage",charset="UTF-8"'
_SCOPE = ("registry", "metrics")
_NO_ADMIN = (
    "Metrics are for admins of the registry, and for their tokens with the scope registry:metrics:*; "
    "http.debug.addr has them without a login."
)


class MetricsAccess:
    """Lets those pass who may read metrics.

    Args:
        authenticator: finds out who asks.
        certificates: whose client certificates are; None: they are not looked at.
        everybody: whether whoever is known may.
        note: has what was refused written to the audit log; None where there is none.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        certificates: CertificateOwners | None = None,
        *,
        everybody: bool = False,
        note: Callable[[AuditEntry], None] | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._certificates = certificates
        self._everybody = everybody
        self._note = note

    async def check(self, request: Request) -> None:
        """May whoever asks read them?

        Raises:
            Unauthorized: nobody known asks, or with a registry token, which is for images.
            Denied: no admin asks.
            TooManyRequests: wrong passwords came too often.
        """
        try:
            identity = await self._identify(request)
        except Unauthorized as error:
            error.challenge = _CHALLENGE
            raise
        request.caller = Caller(identity, NOTHING, request.address, request.id)
        if not (self._everybody or _is_reader(identity)):
            if self._note is not None:
                detail: dict[str, object] = {"method": request.method}
                self._note(AuditEntry("access", REFUSED, request.caller, "system", "metrics", detail=detail))
            raise Denied(_NO_ADMIN)

    async def _identify(self, request: Request) -> Identity:
        identity = await identify(self._authenticator, self._certificates, request)
        if identity.kind == ANONYMOUS.kind or identity.access is not None:
            raise Unauthorized
        return identity


def _is_reader(identity: Identity) -> bool:
    if not identity.admin:
        return False
    return identity.scopes is None or any((scope.type, scope.name) == _SCOPE for scope in identity.scopes)
