"""What the doors and use cases know of how people prove who they are, and of what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from moorage.core.access import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.core.access import Binding, Caller, Scope


class Authenticator(Protocol):
    """Tells from the `Authorization` header who asks.

    The door asks `known` first, which is cheap and does not wait, and `identify` where that says None:
    `who = auth.known(header) or await auth.identify(header, address, request_id)`. Whether ANONYMOUS may do what it
    asks for is not decided here: where it may not, the door answers 401 with `challenge()`.
    """

    def known(self, authorization: str | None) -> Identity | None:
        """Who that is, where it can be told at once; None where `identify` has to find out.

        No header, and empty credentials (`Basic Og==`), are ANONYMOUS.
        """
        ...

    async def identify(self, authorization: str | None, address: str = "", request_id: str = "") -> Identity:
        """Who that is; ANONYMOUS without credentials.

        Args:
            authorization: the header.
            address: of the client, behind trusted proxies too: failures are counted for it.
            request_id: for the audit log.

        Raises:
            Unauthorized: for credentials that are wrong or cannot be read, with the challenge in it.
            TooManyRequests: so many credentials wait to be checked that this one would wait too long.
        """
        ...

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        """The value of `WWW-Authenticate` for an answer with 401.

        Args:
            origin: scheme and host by which the client reached us, `https://registry.example.com`, for the realm.
            scope: what a token would need, in Docker's grammar, separated by blanks; empty on `/v2/`.
            error: `invalid_token` or `insufficient_scope` (RFC 6750 section 3.1), or empty where no credentials came.
        """
        ...


class Attempts(Protocol):
    """Counts failed logins, for an account and for an address; for the address alone where `account` is empty."""

    async def check(self, account: str, address: str) -> bool:
        """May this be tried now? Returns whether there are failures that `succeeded` would forget.

        Raises:
            TooManyRequests: there were too many failures; it says when to come back.
        """
        ...

    async def failed(self, account: str, address: str, password: str) -> None:
        """Count a failure. The same credentials again within a few seconds (containerd's POST, then GET) are one."""
        ...

    async def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures from that address, and know the address as one of its own from now on."""
        ...


class LoginWatch(Protocol):
    """What whoever checks credentials has to tell: it counts failures, and writes the audit log.

    `caller` is who says to be somebody, from where: kind `unknown`, with the name that came with the credentials.
    """

    async def admit(self, account: str, caller: Caller) -> bool:
        """May this be tried now? What this returns is wanted by `passed`.

        Raises:
            TooManyRequests: there were too many failures.
        """
        ...

    async def failed(self, account: str, caller: Caller, secret: str, reason: str) -> None:
        """The credentials are wrong. An empty `account`: they are none that anybody guesses.

        Raises:
            TooManyRequests: for an empty `account`, which `admit` was not asked for.
        """
        ...

    async def passed(self, who: Identity, account: str, caller: Caller, *, forget: bool, always: bool = False) -> None:
        """They are right. `forget` is what `admit` said; with `always` the audit log gets this login in any case."""
        ...

    def seen(self, who: Identity, caller: Caller) -> bool:
        """`who` asks, with what cannot be guessed. Returns whether the audit log gets a line for it."""
        ...

    def refused(self, caller: Caller, reason: str, *, failed: bool = False) -> None:
        """Somebody was not let in for another reason than wrong credentials; `failed`: not even looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody whom a directory or an OIDC provider vouches for.

    Attributes:
        source: `ldap:<name>` or `oidc:<name>`.
        subject: what that person is called there for ever (entryUUID, objectGUID, `sub`).
        name: the user name that the person would like to have here.
        email: empty where not told.
        groups: names of groups, nested ones too; None where the source does not tell, and nothing changes then.
        admin: whether the person is to be an admin of the system; None where the source does not tell.
    """

    source: str
    subject: str
    name: str
    email: str = ""
    groups: tuple[str, ...] | None = None
    admin: bool | None = None


class PasswordSource(Protocol):
    """Knows users and passwords that are not ours (a directory)."""

    @property
    def name(self) -> str:
        """`ldap:<name>`."""
        ...

    async def check(self, user: str, password: str) -> Arrival | None:
        """Who that is; None for a wrong password and for a user who is not there, which take equally long.

        Raises:
            Unavailable: the directory does not answer in time.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class JobTokens(Protocol):
    """Takes OIDC tokens of CI jobs in place of a robot's secret (keyless CI)."""

    def recognises(self, password: str) -> bool:
        """Whether that is written like a signed token at all; does not wait."""
        ...

    async def identify(
        self,
        token: str,
        user: str = "",
        address: str = "",
        request_id: str = "",
        scopes: Sequence[Scope] | None = None,
    ) -> Identity:
        """The robot whose trust rule the token fulfils, with credential `oidc:<rule>`.

        Args:
            token: as the job shows it.
            user: the user name that came with it: a robot's full name, or a word that leaves it to the rules.
            address: of the client, for the audit log.
            request_id: for the same.
            scopes: what a registry token is asked for, which decides between the rules of several robots; None where
                the robot is to do things itself.

        Raises:
            Unauthorized: the token is not valid, or fulfils no rule, or rules of several robots that may as much.
            Unavailable: its issuer's keys cannot be fetched.
        """
        ...


class CertificateOwners(Protocol):
    """Knows whose a client certificate is."""

    async def identify(self, header: str, chain: str, address: str, request_id: str) -> Identity | None:
        """The owner of the certificate in `Client-Cert`; None where it is nobody's here.

        Raises:
            Unauthorized: it is not valid.
        """
        ...


class Policy(Protocol):
    """What an identity may do. The one place where that is decided."""

    async def allowed(self, identity: Identity, name: str) -> frozenset[str]:
        """The actions that `identity` may do on the repository (or project) `name`, whether it exists or not.

        Whoever is authenticated has at least what anonymous has. A credential's own scopes are taken into account, a
        Bearer token's access is not: it was worked out by this when the token was given.
        """
        ...

    async def granted(self, identity: Identity, scopes: Sequence[Scope]) -> list[Scope]:
        """Of what is asked for, what is allowed: the intersection, `*` being all; scopes with nothing left are gone.

        `push` brings `overwrite` with it where that is allowed. `registry:catalog:*` is granted to everybody who is
        authenticated: the catalog shows each only what is theirs.
        """
        ...

    async def binding(self, name: str) -> Binding:
        """Which project and repository `name` means now."""
        ...


class Sight(Protocol):
    """What an identity gets to see of what there is."""

    async def repositories(self, identity: Identity, after: str, limit: int) -> list[str]:
        """Up to `limit` names after `after` of repositories that `identity` may pull, in byte order.

        Fewer only where there are no more. What it takes grows with `limit` and with what is granted to the identity,
        not with what is hidden from it.
        """
        ...

    async def source(self, identity: Identity, digest: str) -> str | None:
        """The name of a repository that has a blob and that `identity` may pull; None where none is found soon.

        What it takes depends on what the identity may pull, not on where else the blob is: the time must not tell.
        """
        ...
