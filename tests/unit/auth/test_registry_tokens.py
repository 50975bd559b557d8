"""Our own tokens: what is written is read again, and whatever anybody makes up is not."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth import registry_tokens
from moorage.auth.keys import ALGORITHMS, SigningKey, Unsealable, VerifyingKey, master_key, new_key, open_key
from moorage.auth.registry_tokens import Allowed, Claims, InvalidToken, TokenReader, UnknownKey, write_token
from moorage.core.access import Binding, TokenAccess
from tests.support.accounts import HeldClock
from tests.support.forged import decode, forged, sign

NOW = 1_800_000_000
OURS, RETIRED = new_key("ES256"), new_key("ES256")


def claims(**changed: object) -> Claims:
    values: dict[str, object] = {
        "iss": "moorage",
        "aud": "registry.example.com",
        "sub": "alice",
        "exp": NOW + 300,
        "nbf": NOW,
        "iat": NOW,
        "jti": "1",
        "access": [Allowed("repository", "team/app", ["pull", "push"], 7, 9), Allowed("registry", "catalog", ["*"])],
        "kind": "user",
        "uid": 3,
    }
    return Claims(**(values | changed))  # type: ignore[arg-type]


def public(key: SigningKey) -> VerifyingKey:
    return VerifyingKey(key.algorithm, key.kid, key.jwk)


def reader(*keys: SigningKey, clock: HeldClock | None = None) -> TokenReader:
    made = TokenReader("moorage", "registry.example.com", clock or HeldClock(NOW))
    made.use([public(key) for key in keys])
    return made


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_written_is_read(algorithm: str) -> None:
    key = new_key(algorithm)
    token = write_token(key, claims())
    who = reader(key, OURS).read(f"Bearer {token}")
    assert (who.name, who.kind, who.id, who.credential, who.admin) == ("alice", "user", 3, "token:1", False)
    assert who.access == {"team/app": TokenAccess(frozenset({"pull", "push"}), Binding(7, 9))}
    assert who.catalog
    assert json.loads(decode(token.split(".")[0])) == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}


def test_what_a_token_goes_back_to() -> None:
    """Nothing is written of it where there is nothing: such tokens are read by versions that know nothing of it."""
    header = f"Bearer {write_token(OURS, claims(pat=5))}"
    assert reader(OURS).read(header).pat == 5
    plain = write_token(OURS, claims())
    assert reader(OURS).read(f"Bearer {plain}").pat == 0
    assert b"pat" not in decode(plain.split(".")[1])


FORGED = dict(forged(write_token(OURS, claims()), OURS, NOW, RETIRED))


def test_there_are_many_forged_tokens() -> None:
    assert len(FORGED) > 100
    assert len(set(FORGED.values())) == len(FORGED)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(name: str) -> None:
    begun = time.process_time()
    with pytest.raises((InvalidToken, UnknownKey)):
        reader(OURS).read(f"Bearer {FORGED[name]}")
    assert time.process_time() - begun < 0.5


def test_the_pattern_of_the_forged_ones_is_valid() -> None:
    assert reader(OURS).read(f"Bearer {write_token(OURS, claims())}").name == "alice"


@given(st.text(max_size=300))
def test_garbage_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises((InvalidToken, UnknownKey)):
        reader(OURS).read(f"Bearer {text}")


@given(st.binary(max_size=300))
def test_any_claims_that_are_truly_signed_are_read_or_refused(payload: bytes) -> None:
    header = {"alg": "ES256", "kid": OURS.kid, "typ": "JWT"}
    with pytest.raises(InvalidToken):
        reader(OURS).read(f"Bearer {sign(OURS, header, payload)}")


def test_more_than_8_kib_are_not_looked_at() -> None:
    token = write_token(OURS, claims(sub="a" * 9000))
    with pytest.raises(InvalidToken, match="too long"):
        reader(OURS).read(f"Bearer {token}")
    begun = time.process_time()
    with pytest.raises(InvalidToken, match="too long"):
        reader(OURS).read("Bearer " + "." * 1_000_000)
    assert time.process_time() - begun < 0.05


def test_a_token_is_known_until_it_ends() -> None:
    clock = HeldClock(NOW)
    tokens = reader(OURS, clock=clock)
    header = f"Bearer {write_token(OURS, claims())}"
    assert tokens.known(header) is None
    who = tokens.read(header)
    assert tokens.known(header) is who
    clock.at = NOW + 299.9
    assert tokens.known(header) is who
    clock.at = NOW + 300
    assert tokens.known(header) is None
    with pytest.raises(InvalidToken, match="expired"):
        tokens.read(header)


def test_another_instances_clock_may_be_a_minute_ahead() -> None:
    ahead = claims(nbf=NOW + 59, iat=NOW + 59, exp=NOW + 359)
    assert reader(OURS).read(f"Bearer {write_token(OURS, ahead)}").name == "alice"


def test_what_a_key_that_is_gone_had_signed_is_forgotten() -> None:
    tokens = reader(OURS, RETIRED)
    header = f"Bearer {write_token(RETIRED, claims())}"
    tokens.read(header)
    tokens.use([public(OURS), public(RETIRED), public(new_key("EdDSA"))])
    assert tokens.known(header) is not None
    tokens.use([public(OURS)])
    assert tokens.known(header) is None
    with pytest.raises(UnknownKey):
        tokens.read(header)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_tokens, "MOST_KNOWN", 5)
    tokens = reader(OURS)
    headers = [f"Bearer {write_token(OURS, claims(jti=str(number)))}" for number in range(12)]
    for header in headers:
        tokens.read(header)
    assert [tokens.known(header) is not None for header in headers] == [False] * 7 + [True] * 5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_sealed_key_opens_with_its_master_key_alone(algorithm: str) -> None:
    key = new_key(algorithm)
    master = master_key("a secret of the operator, long enough")
    sealed = key.seal(master)
    again = open_key(sealed, key.kid, master)
    assert (again.kid, again.algorithm, again.jwk) == (key.kid, algorithm, key.jwk)
    assert public(key).fits(again.sign(b"data"), b"data")
    for wrong, kid, secret in (
        (sealed, key.kid, master_key("another secret")),
        (sealed, "another", master),
        (sealed[:-8] + "AAAAAAA=", key.kid, master),
        ("", key.kid, master),
        ("!", key.kid, master),
    ):
        with pytest.raises(Unsealable):
            open_key(wrong, kid, secret)


def test_the_kid_is_the_thumbprint_of_rfc_7638() -> None:
    from joserfc.jwk import ECKey, OKPKey

    ec, ed = new_key("ES256"), new_key("EdDSA")
    assert ECKey.import_key(dict(ec.jwk)).thumbprint() == ec.kid
    assert OKPKey.import_key(dict(ed.jwk)).thumbprint() == ed.kid


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_library_verifies_our_tokens(algorithm: str) -> None:
    from joserfc import jwt
    from joserfc.jwk import KeySet

    key = new_key(algorithm)
    keys = KeySet.import_key_set({"keys": [public(key).jwk]})  # type: ignore[list-item]
    read = jwt.decode(write_token(key, claims()), keys, algorithms=[algorithm])
    assert read.claims["sub"] == "alice"


def test_no_private_key_shows() -> None:
    assert "private" not in repr(OURS).lower()


def test_a_jwk_of_another_algorithm_is_no_key() -> None:
    with pytest.raises(ValueError, match="none of EdDSA"):
        VerifyingKey("EdDSA", OURS.kid, OURS.jwk)
    with pytest.raises(ValueError, match="one of"):
        new_key("HS256")
