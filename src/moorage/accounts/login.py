"""The login chain: from what an `Authorization` header says to who that is.

In this order: nothing at all is anonymous; a Bearer token of ours; a secret that we made (personal access token,
robot); a CI job's OIDC token; a user of our own; a user of a directory. The first that knows the credentials decides.

Every request looks the owner's row up, so that what was disabled, deleted or has expired is out with the next request;
only the costly check of a password is remembered.

Whatever fails gives the same answer, and a user who is not there takes as long as a wrong password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from moorage.accounts.arrivals import arrive
from moorage.accounts.login_watch import WatchedLogins
from moorage.accounts.vouched import Vouched
from moorage.auth.basic import read_basic
from moorage.auth.random_secrets import PAT, ROBOT, hash_secret, kind_of
from moorage.auth.registry_tokens import LONGEST, InvalidToken
from moorage.core.access import ANONYMOUS, Caller, Identity
from moorage.core.errors import Denied, TooManyRequests, Unauthorized, Unavailable
from moorage.core.scopes import parse_scopes
from moorage.metadata.logins import ACCESS_TOKEN, ROBOT_SECRET, USER_BY_ID, USER_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.accounts.journal import Journal
    from moorage.accounts.keys import Keys
    from moorage.auth.passwords import Passwords
    from moorage.auth.ports import JobTokens, LoginWatch, PasswordSource
    from moorage.auth.registry_tokens import TokenReader
    from moorage.core.access import Scope
    from moorage.core.clock import Clock
    from moorage.metadata.database import Database, Row

WRONG = "The user name, password or token is wrong, or no longer valid."
UNREADABLE = "The credentials cannot be read; Basic authentication wants base64 of user:password in UTF-8."
BAD_TOKEN = "The token is not valid here, or no longer; ask for a new one."  # noqa: S105 - a sentence

_LONGEST_NAME = 256
_ANY_NAME = frozenset({"<token>", "oauth2accesstoken"})
"""User names that clients send with a token when nobody told them one (docker, gcloud's helpers)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody who proved who they are.

    epoch: of the user or robot when the proof was looked at: what is given out for it must end with that epoch.
    """

    identity: Identity
    epoch: int


@dataclass(frozen=True, slots=True)
class Challenges:
    """How clients are told where to get a token.

    realm: absolute URL of the token endpoint; "" for `<origin><prefix>/token`.
    service: constant for all repositories (regclient refuses a change).
    prefix: of all addresses, without a slash at its end.
    """

    realm: str = ""
    service: str = "moorage"
    prefix: str = ""

    def bearer(self, origin: str, scope: str = "", error: str = "") -> str:
        """The value of `WWW-Authenticate` (RFC 6750 section 3)."""
        realm = self.realm or f"{origin}{self.prefix}/token"
        parts = [("realm", realm), ("service", self.service), ("scope", scope), ("error", error)]
        return "Bearer " + ",".join(f'{name}="{_plain(value)}"' for name, value in parts if value)


class Login:
    """Who asks. An implementation of `moorage.auth.ports.Authenticator`, and more for the token endpoint.

    Args:
        database: users, robots and their secrets.
        clock: what has expired.
        passwords: the costly checks.
        keys: verifies tokens that it has not seen.
        reader: knows those that it has.
        journal: where it is noted that credentials are used.
        challenges: for answers with 401.
        sources: directories, asked in this order.
        jobs: takes OIDC tokens of CI jobs.
        watch: told of logins and refusals; None: one that counts no failures.
    """

    def __init__(  # noqa: PLR0913 - one for each link of the chain
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        keys: Keys,
        reader: TokenReader,
        journal: Journal,
        *,
        challenges: Challenges,
        sources: Sequence[PasswordSource] = (),
        jobs: JobTokens | None = None,
        watch: LoginWatch | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._keys = keys
        self._reader = reader
        self._journal = journal
        self._challenges = challenges
        self._sources = tuple(sources)
        self._jobs = jobs
        self._watch: LoginWatch = WatchedLogins(journal, clock) if watch is None else watch
        self._vouched = Vouched()

    def known(self, authorization: str | None) -> Identity | None:
        """Who has a token that was verified before; ANONYMOUS without credentials; None where one has to look."""
        if authorization is None:
            return ANONYMOUS
        found = self._reader.known(authorization)
        if found is None and authorization[:6].lower() == "basic ":
            return ANONYMOUS if read_basic(authorization) == ("", b"") else None
        return found

    async def identify(self, authorization: str | None, address: str = "", request_id: str = "") -> Identity:
        """See `Authenticator.identify`; the door adds the challenge to what is raised."""
        if authorization is None:
            return ANONYMOUS
        if authorization[:7].lower() == "bearer ":
            return await self._bearer(authorization, address, request_id)
        credentials = read_basic(authorization)
        if credentials is None:
            raise self.unreadable(address, request_id)
        user, password = credentials
        return (await self.prove(user, password.decode(), address, request_id)).identity

    def unreadable(self, address: str, request_id: str) -> Unauthorized:
        """What to raise for credentials that nobody can read; it is in the audit log then."""
        self._watch.refused(_somebody("", address, request_id), "unreadable")
        return Unauthorized(UNREADABLE)

    def challenge(self, origin: str = "", scope: str = "", error: str = "") -> str:
        """`Bearer realm="...",service="..."`, with what a token would need."""
        return self._challenges.bearer(origin, scope, error)

    async def check(self, user: str, password: str, address: str = "", request_id: str = "") -> Identity:
        """Who has these credentials; ANONYMOUS where both are empty.

        Raises:
            Unauthorized: they are wrong.
            TooManyRequests: they were wrong too often, or too many are being checked.
            Unavailable: the directory that knows the user does not answer.
        """
        return (await self.prove(user, password, address, request_id)).identity

    async def prove(
        self,
        user: str,
        password: str,
        address: str = "",
        request_id: str = "",
        scopes: Sequence[Scope] | None = None,
    ) -> Proof:
        """As `check`, with the epoch that what is given out for it is bound to.

        scopes: what a registry token is asked for; None where none is. See `JobTokens.identify`.
        """
        if not user and not password:
            return Proof(ANONYMOUS, 0)
        caller = _somebody(user, address, request_id)
        proof, forget = await self._prove(user, password, caller, scopes)
        await self._watch.passed(proof.identity, self._account(user, password), caller, forget=forget)
        return proof

    async def enter(self, user: str, password: str, address: str = "", request_id: str = "") -> Proof:
        """As `prove`, for a session to begin with it: of a person, and by password. Each is in the audit log.

        Raises:
            Unauthorized: nobody's, or no password: tokens and robots get no session.
        """
        caller = _somebody(user, address, request_id)
        if not password or kind_of(password):
            self._watch.refused(caller, "no password")
            raise Unauthorized(WRONG)
        proof, forget = await self._prove(user, password, caller, None)
        if proof.identity.kind != "user":
            self._watch.refused(caller, "no person")
            raise Unauthorized(WRONG)
        await self._watch.passed(proof.identity, user.lower(), caller, forget=forget, always=True)
        return proof

    async def _prove(
        self, user: str, password: str, caller: Caller, scopes: Sequence[Scope] | None
    ) -> tuple[Proof, bool]:
        """Who that is, and whether failures of before are to be forgotten."""
        account = self._account(user, password)
        forget = await self._watch.admit(account, caller) if account else False
        try:
            proof = await self._try(user, password, caller, scopes)
        except Unauthorized:
            await self._watch.failed(account, caller, password, "token of a job")
            raise
        except (TooManyRequests, Unavailable, Denied) as error:
            self._watch.refused(caller, error.message, failed=not isinstance(error, Denied))
            raise
        if proof is None:
            await self._watch.failed(account, caller, password, "credentials")
            raise Unauthorized(WRONG)
        return proof, forget

    def _account(self, user: str, password: str) -> str:
        """Whose failure it would be. Nobody's, with what cannot be guessed: failed passwords do not keep that out."""
        if kind_of(password) or (self._jobs is not None and self._jobs.recognises(password)):
            return ""
        return user.lower()[:_LONGEST_NAME]

    async def _try(self, user: str, password: str, caller: Caller, scopes: Sequence[Scope] | None) -> Proof | None:
        if "\0" in user or "\0" in password or len(password) > LONGEST:
            return None
        kind = kind_of(password)
        if kind:
            return await self._by_secret(kind, user, password)
        if self._jobs is not None and self._jobs.recognises(password):
            job = await self._jobs.identify(password, user, caller.address, caller.request_id, scopes)
            return Proof(job, 0)
        return await self._by_password(user, password, caller)

    async def _bearer(self, authorization: str, address: str, request_id: str) -> Identity:
        token = authorization[7:].strip(" ")
        kind = kind_of(token)
        if kind:
            caller = _somebody("", address, request_id)
            proof = await self._by_secret(kind, None, token)
            if proof is not None:
                self._watch.seen(proof.identity, caller)
                return proof.identity
            await self._watch.failed("", caller, token, "credentials")
        else:
            try:
                return await self._keys.identify(authorization)
            except InvalidToken as error:
                self._watch.refused(_somebody("", address, request_id), f"token: {error}")
        raise Unauthorized(BAD_TOKEN, error="invalid_token")

    async def _by_secret(self, kind: str, user: str | None, secret: str) -> Proof | None:
        """The owner of a secret of ours. `user` is the name that came with it; None where none can come."""
        hashed = hash_secret(secret)
        now = self._clock.now()
        if kind == PAT:
            return self._owner(await self._database.lookup(ACCESS_TOKEN, hashed), user, now)
        if kind == ROBOT:
            return self._robot(await self._database.lookup(ROBOT_SECRET, hashed), user, now)
        return None  # refresh tokens and sessions have doors of their own

    def _owner(self, row: Row | None, user: str | None, now: float) -> Proof | None:
        if row is None:
            return None
        owner, name, admin, disabled, epoch, token, scopes, expires_at = row
        if disabled or _over(expires_at, now):
            return None
        if user is not None and user.lower() != name and user.lower() not in _ANY_NAME:
            return None
        self._journal.used("pat", _int(token))
        return Proof(
            Identity(
                str(name),
                "user",
                _int(owner),
                admin=bool(admin),
                credential=f"pat:{token}",
                scopes=narrowed(str(scopes)),
                pat=_int(token),
            ),
            _int(epoch),
        )

    def _robot(self, row: Row | None, user: str | None, now: float) -> Proof | None:
        if row is None:
            return None
        robot, name, disabled, epoch, expires_at, secret, secret_expires_at = row
        if disabled or _over(expires_at, now) or _over(secret_expires_at, now):
            return None
        if user is not None and user.lower() != name:
            return None
        self._journal.used("robot", _int(robot))
        return Proof(Identity(str(name), "robot", _int(robot), credential=f"secret:{secret}"), _int(epoch))

    async def _by_password(self, user: str, password: str, caller: Caller) -> Proof | None:
        name = user.lower()
        row = await self._database.lookup(USER_BY_NAME, name) if len(user) <= _LONGEST_NAME else None
        stored = str(row[5]) if row is not None and row[5] is not None else None
        if self._sources and stored is None:
            known = await self._vouched_before(name, password)
            if known is not None:
                return known
        right = await self._passwords.fits(name, password.encode(), stored, alone=not self._sources)
        if row is not None and stored is not None:
            return _user(row, "password") if right else None
        if row is not None and row[6] == "local":
            return None
        return await self._by_directory(user, password, caller)

    async def _by_directory(self, user: str, password: str, caller: Caller) -> Proof | None:
        silent: Unavailable | None = None
        for source in self._sources:
            try:
                arrival = await source.check(user, password)
            except Unavailable as error:
                silent = error
                continue
            if arrival is not None:
                arrived = await arrive(self._database, self._clock, arrival, caller)
                self._vouched.add(user.lower(), password, arrived.id, arrived.epoch, source.name, self._clock.now())
                return _user(await self._database.lookup(USER_BY_ID, arrived.id), source.name)
        if silent is not None:
            raise silent
        return None

    async def _vouched_before(self, name: str, password: str) -> Proof | None:
        found = self._vouched.get(name, password, self._clock.now())
        if found is None:
            return None
        row, epoch, source = found
        proof = _user(await self._database.lookup(USER_BY_ID, row), source)
        return proof if proof is not None and proof.epoch == epoch else None


def narrowed(scopes: str) -> tuple[Scope, ...] | None:
    """What a personal access token narrows its owner's rights to, from its column; None: not at all."""
    words = orjson.loads(scopes)
    return tuple(parse_scopes(words)) if words else None


def _somebody(user: str, address: str, request_id: str) -> Caller:
    """Who says to be `user`."""
    return Caller(Identity(user[:_LONGEST_NAME], "unknown"), address=address, request_id=request_id)


def _user(row: Row | None, credential: str) -> Proof | None:
    """The user of a row, unless it is gone or disabled."""
    if row is None or row[3]:
        return None
    return Proof(Identity(str(row[1]), "user", _int(row[0]), admin=bool(row[2]), credential=credential), _int(row[4]))


def _over(expires_at: object, now: float) -> bool:
    return isinstance(expires_at, (int, float)) and expires_at <= now


def _int(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 - a column's type
    return value


def _plain(value: str) -> str:
    """Text inside of a quoted-string: printable ASCII without what would need a backslash."""
    return "".join(char for char in value if " " <= char <= "~" and char not in '"\\')
