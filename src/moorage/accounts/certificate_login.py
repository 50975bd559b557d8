"""Who a client certificate belongs to here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.auth.certificates import CertificateRefused, Certificates
from moorage.core.access import Caller, Identity
from moorage.core.errors import Unauthorized
from moorage.metadata.logins import ROBOT_BY_NAME, USER_BY_NAME

if TYPE_CHECKING:
    from moorage.auth.ports import LoginWatch
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database

CERTIFICATE = "certificate"
_BAD = "The client certificate is not accepted here."


class CertificateLogin:
    """Finds the account of a certificate; looked up at each request, so that a disabled one is out at once.

    Args:
        database: users and robots.
        clock: what has expired.
        certificates: checks them.
        watch: told of logins and refusals.
    """

    def __init__(self, database: Database, clock: Clock, certificates: Certificates, watch: LoginWatch) -> None:
        self._database = database
        self._clock = clock
        self._certificates = certificates
        self._watch = watch

    async def identify(self, header: str, chain: str, address: str, request_id: str) -> Identity | None:
        """Whose certificate that is; None where no rule fits: the client may prove itself otherwise.

        Args:
            header: `Client-Cert`, written by a trusted proxy.
            chain: `Client-Cert-Chain`, or nothing.
            address: of the client, for the audit log.
            request_id: the same.

        Raises:
            Unauthorized: it is not valid, or its account is gone or disabled.
        """
        caller = Caller(Identity("", "unknown", credential=CERTIFICATE), address=address, request_id=request_id)
        try:
            rule = self._certificates.rule_of(header, chain)
        except CertificateRefused as error:
            self._watch.refused(caller, str(error))
            raise Unauthorized(_BAD) from None
        if rule is None:
            return None
        found = await (self._user(rule.user) if rule.user else self._robot(rule.robot))
        if found is None:
            self._watch.refused(caller, f"no such account: {rule.user or rule.robot}")
            raise Unauthorized(_BAD)
        self._watch.seen(found, caller)
        return found

    async def _user(self, name: str) -> Identity | None:
        row = await self._database.lookup(USER_BY_NAME, name)
        if row is None or row[3]:
            return None
        return Identity(str(row[1]), "user", int(str(row[0])), admin=bool(row[2]), credential=CERTIFICATE)

    async def _robot(self, name: str) -> Identity | None:
        row = await self._database.lookup(ROBOT_BY_NAME, name)
        if row is None or row[2] or (row[3] is not None and float(str(row[3])) <= self._clock.now()):
            return None
        return Identity(str(row[1]), "robot", int(str(row[0])), credential=CERTIFICATE)
