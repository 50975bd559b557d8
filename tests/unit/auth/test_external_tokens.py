"""Tokens of another server: what is taken as Distribution takes it, and what is forged."""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey

from moorage.auth.external_keys import KeyFiles, jwk_of, libtrust_id, thumbprint_of
from moorage.auth.external_tokens import ExternalTokens
from moorage.core.access import ANONYMOUS, Identity, TokenAccess
from moorage.core.clock import SystemClock
from moorage.core.errors import Unauthorized
from tests.support.certificates import DAY, NOW, Authority
from tests.support.token_issuer import ISSUER, SERVICE, Issuer, encoded, key_of, rights, x5c

PULL = rights("team/app", "pull")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def door(issuer: Issuer) -> ExternalTokens:
    return ExternalTokens(issuer.settings(), SystemClock())


async def taken(door: ExternalTokens, token: str) -> Identity:
    return await door.identify(f"Bearer {token}")


async def refused(door: ExternalTokens, token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        await door.identify(f"Bearer {token}")
    assert caught.value.error == "invalid_token"


async def test_token_says_who_and_what(issuer: Issuer, door: ExternalTokens) -> None:
    claims = issuer.claims(PULL, rights("team/app", "push"), rights("catalog", "*", kind="registry"))
    token = issuer.token(claims)
    assert door.known(f"Bearer {token}") is None
    who = await taken(door, token)
    assert (who.name, who.kind, who.id, who.admin, who.credential) == ("alice", "external", 0, False, "token:1")
    assert who.access == {"team/app": TokenAccess(frozenset({"pull", "push"}), None)}
    assert who.catalog
    assert door.known(f"Bearer {token}") is who


async def test_nobody_without_a_token(door: ExternalTokens) -> None:
    for header in (None, "Basic YTpi", "Bearer", "Bearer ", "Negotiate x"):
        assert door.known(header) is ANONYMOUS
        assert await door.identify(header) is ANONYMOUS


async def test_keys_are_found_by_chain_by_jwk_and_by_kid(issuer: Issuer, door: ExternalTokens) -> None:
    claims = issuer.claims(PULL)
    between = Authority("Between", issuer.authority)
    deep = between.issue("deep")
    root = jwk_of(issuer.authority.certificate)
    assert root is not None
    root_key = key_of(issuer.authority)
    tokens = [
        issuer.certified(claims, issuer.es, "ES256"),
        issuer.certified(claims, issuer.rsa, "RS256"),
        issuer.certified(claims, issuer.rsa, "PS512"),
        issuer.certified(claims, deep, "ES256", between),
        issuer.certified(claims, issuer.authority, "ES256"),
        issuer.token(claims, {"alg": "ES256", "kid": thumbprint_of(root)}, root_key),
        issuer.token(claims, {"alg": "ES256", "kid": libtrust_id(issuer.authority.certificate)}, root_key),
        issuer.token(claims, {"alg": "ES256", "jwk": root}, root_key),
        issuer.token(claims, {"alg": "EdDSA", "jwk": issuer.ed.as_dict(private=False)}),
        issuer.token(
            claims,
            {"alg": "ES256", "jwk": (jwk_of(issuer.es.certificate) or {}) | {"x5c": x5c(issuer.es)}},
            key_of(issuer.es),
        ),
    ]
    for token in tokens:
        assert (await taken(door, token)).name == "alice"


@pytest.mark.parametrize("change", [{"aud": ["other", SERVICE]}, {"nbf": int(time.time()) + 55}, {"access": None}])
async def test_claims_that_will_do(issuer: Issuer, door: ExternalTokens, change: dict[str, Any]) -> None:
    assert (await taken(door, issuer.token(issuer.claims() | change))).access == {}
    late = issuer.claims() | {"exp": int(time.time()) - 50}
    assert (await taken(door, issuer.token(late))).name == "alice"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"iss": ISSUER + ".evil.test"},
        {"iss": ISSUER[:-1]},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": []},
        {"aud": SERVICE + "x"},
        {"aud": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"nbf": int(time.time()) + 3000},
        {"access": "repository:a:pull"},
        {"access": [{"type": "repository"}]},
        {"sub": 5},
    ],
)
async def test_claims_that_will_not(issuer: Issuer, door: ExternalTokens, change: dict[str, Any]) -> None:
    await refused(door, issuer.token(issuer.claims(PULL) | change))


def _forgeries(issuer: Issuer) -> dict[str, Callable[[dict[str, Any]], str]]:
    own = ECKey.generate_key("P-256")
    own_ed = OKPKey.generate_key("Ed25519")
    foreign = Authority("Issuer authority")
    stranger = foreign.issue("signer")
    expired = issuer.authority.issue("signer", end=NOW - DAY / 2)
    claims = issuer.claims(PULL)
    good = issuer.token(claims)
    head, body, signature = good.split(".")
    none = encoded(json.dumps({"alg": "none"}).encode())
    twice = encoded(b'{"alg":"EdDSA","kid":"ed-1","kid":"ed-1"}')
    es = key_of(issuer.es)
    made = issuer.token
    stolen = jwk_of(issuer.es.certificate) or {}
    return {
        "embedded jwk": lambda c: made(c, {"alg": "ES256", "jwk": own.as_dict(private=False)}, own),
        "embedded jwk with a trusted kid": lambda c: made(
            c, {"alg": "EdDSA", "kid": "ed-1", "jwk": own_ed.as_dict(private=False) | {"kid": "ed-1"}}, own_ed
        ),
        "jwk with another's chain": lambda c: made(
            c, {"alg": "ES256", "jwk": own.as_dict(private=False) | {"x5c": x5c(issuer.es)}}, own
        ),
        "jwk is the certificate's, key is not": lambda c: made(c, {"alg": "ES256", "jwk": stolen}, own),
        "jku": lambda c: made(c, {"alg": "ES256", "jku": "https://evil.test/keys"}, own),
        "x5u": lambda c: made(c, {"alg": "ES256", "x5u": "https://evil.test/chain"}, own),
        "foreign chain": lambda c: made(c, {"alg": "ES256", "x5c": x5c(stranger)}, key_of(stranger)),
        "foreign root along": lambda c: made(c, {"alg": "ES256", "x5c": x5c(stranger, foreign)}, key_of(stranger)),
        "trusted root along": lambda c: made(
            c, {"alg": "ES256", "x5c": x5c(stranger, issuer.authority)}, key_of(stranger)
        ),
        "chain of another, own key": lambda c: made(c, {"alg": "ES256", "x5c": x5c(issuer.es)}, own),
        "expired certificate": lambda c: made(c, {"alg": "ES256", "x5c": x5c(expired)}, key_of(expired)),
        "issued by what is no authority": lambda c: _by_a_leaf(issuer, c),
        "garbage chain": lambda c: made(c, {"alg": "ES256", "x5c": ["AAAA"]}, es),
        "text for a chain": lambda c: made(c, {"alg": "ES256", "x5c": "AAAA"}, es),
        "long chain": lambda c: made(c, {"alg": "ES256", "x5c": x5c(issuer.es) * 50}, es),
        "shared secret": lambda c: _with_shared_secret(issuer, c),
        "no key at all": lambda c: made(c, {"alg": "EdDSA"}),
        "unknown kid": lambda c: made(c, {"alg": "EdDSA", "kid": "other"}),
        "other algorithm for the key": lambda c: made(c, {"alg": "ES256", "kid": "ed-1"}, own),
        "critical header": lambda c: made(c, {"alg": "EdDSA", "kid": "ed-1", "crit": ["exp"], "exp": 1}),
        "none": lambda _: f"{none}.{body}.",
        "none with a signature": lambda _: f"{none}.{body}.{signature}",
        "no signature": lambda _: f"{head}.{body}.",
        "other claims": lambda c: f"{head}.{encoded(json.dumps(c | {'sub': 'root'}).encode())}.{signature}",
        "member twice": lambda _: f"{twice}.{body}.{signature}",
        "padding": lambda _: good + "=",
        "four parts": lambda _: good + ".x",
        "garbage": lambda _: "a.b.c",
        "not text": lambda _: "\u00ff\u00ff.a.b",
        "long": lambda c: made(c | {"x": "y" * 40_000}),
    }


def _by_a_leaf(issuer: Issuer, claims: dict[str, Any]) -> str:
    pretender = Authority("Pretender")
    pretender.certificate, pretender.key = issuer.es.certificate, issuer.es.key
    made = pretender.issue("evil")
    return issuer.certified(claims, made, "ES256", issuer.es)


def _with_shared_secret(issuer: Issuer, claims: dict[str, Any]) -> str:
    """The public key's own text as the secret, for verifiers that let the token choose the algorithm."""
    data = f"{encoded(json.dumps({'alg': 'HS256', 'kid': 'ed-1'}).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{data}.{encoded(hmac.digest(issuer.bundle.read_bytes(), data.encode(), 'sha256'))}"


FORGERIES = (
    "embedded jwk", "embedded jwk with a trusted kid", "jwk with another's chain",
    "jwk is the certificate's, key is not", "jku", "x5u", "foreign chain", "foreign root along", "trusted root along",
    "chain of another, own key", "expired certificate", "issued by what is no authority", "garbage chain",
    "text for a chain", "long chain", "shared secret", "no key at all", "unknown kid", "other algorithm for the key",
    "critical header", "none", "none with a signature", "no signature", "other claims", "member twice", "padding",
    "four parts", "garbage", "not text", "long",
)  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
async def test_forged(issuer: Issuer, door: ExternalTokens, name: str) -> None:
    await refused(door, _forgeries(issuer)[name](issuer.claims(PULL)))


def test_all_forgeries_are_tried(issuer: Issuer) -> None:
    assert set(FORGERIES) == set(_forgeries(issuer))


async def test_chosen_algorithms_only(issuer: Issuer) -> None:
    door = ExternalTokens(issuer.settings(algorithms=("ES256",)), SystemClock())
    await refused(door, issuer.token(issuer.claims(PULL)))
    assert (await taken(door, issuer.certified(issuer.claims(PULL), issuer.es, "ES256"))).name == "alice"


async def test_files_are_read_again(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    now = [0.0]
    door = ExternalTokens(issuer.settings(), SystemClock(), KeyFiles(issuer.settings(), lambda: now[0]))
    old = issuer.token(issuer.claims(PULL))
    await taken(door, old)
    issuer.ed = OKPKey.generate_key("Ed25519")
    issuer.write()
    os.utime(issuer.jwks, ns=(1, 1))
    now[0] += 1.1
    assert door.known(f"Bearer {old}") is None
    await refused(door, old)
    await taken(door, issuer.token(issuer.claims(PULL)))
    issuer.jwks.write_text("{")
    now[0] += 1.1
    await taken(door, issuer.token(issuer.claims(PULL)))


def test_challenge(issuer: Issuer, door: ExternalTokens) -> None:
    assert door.challenge("https://r.test", "repository:a:pull", "invalid_token") == (
        'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a:pull",error="invalid_token"'
    )
    redirected = ExternalTokens(issuer.settings(redirect_path="/auth/token"), SystemClock())
    assert redirected.challenge("https://r.test") == (
        'Bearer realm="https://r.test/auth/token",service="registry.test"'
    )
