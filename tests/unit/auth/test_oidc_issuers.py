"""Issuers: what is fetched when, what is refused, and what serves on while nobody answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from moorage.auth.oidc_fetch import Fetcher, FetchFailed, is_public, public_address
from moorage.auth.oidc_issuers import FRESH_SECONDS, MOST_ISSUERS, STALE_SECONDS, Issuer, Issuers
from moorage.auth.oidc_tokens import TokenRefused, check_times, read_keys, read_token
from moorage.auth.settings import IssuerSettings
from moorage.core.errors import Unavailable
from tests.support import issuer as support
from tests.support.issuer import issuing, other_keys, public, sign


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def there() -> Iterator[support.Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def issuer(there: support.Issuer, time: Time) -> AsyncIterator[Issuer]:
    made = Issuer(there.url, IssuerSettings(there.url), time)
    yield made
    await made.fetcher.close()


async def test_keys_are_fetched_once_an_hour(there: support.Issuer, issuer: Issuer, time: Time) -> None:
    token = read_token(there.token())
    for _ in range(5):
        assert (await issuer.verify(token))["sub"] == "job:1"
    assert there.asked == [support.WELL_KNOWN, "/keys"]
    time.now += FRESH_SECONDS + 1
    await issuer.verify(token)
    assert len(there.asked) == 4


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "EdDSA", "PS256", "RS512"])
async def test_every_asymmetric_algorithm(there: support.Issuer, issuer: Issuer, time: Time, algorithm: str) -> None:
    key = other_keys().get(algorithm) or RSAKey.generate_key(2048)
    there.keys = [public(key, "k")]
    token = read_token(sign({"alg": algorithm, "kid": "k"}, there.claims(), key))
    assert (await issuer.verify(token))["iss"] == there.url
    there.keys = [public(key, "k", alg="RS256")]
    time.now += FRESH_SECONDS + 1
    with pytest.raises(TokenRefused):
        await issuer.verify(token)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"{}"),
        (404, {}, b"{}"),
        (302, {"location": "/elsewhere"}, b""),
        (200, {}, b"x" * 600_000),
        (200, {}, b"[]"),
        (200, {}, b'{"issuer": "A", "issuer": "A"}'),
        (200, {"content-encoding": "gzip"}, b"{}"),
        (200, {}, b'{"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}'),
        (200, {}, b'{"issuer": "SELF/", "jwks_uri": "SELF/keys"}'),
        (200, {}, b'{"issuer": "SELF", "jwks_uri": "file:///etc/passwd"}'),
        (200, {}, b'{"issuer": "SELF", "jwks_uri": 7}'),
        (200, {}, b'{"issuer": "SELF"}'),
        (200, {}, b'{"issuer": "SELF", "jwks_uri": "SELF/keys", "keys": []}'),
    ],
)
async def test_answers_that_are_none(
    there: support.Issuer, issuer: Issuer, time: Time, answer: tuple[int, dict[str, str], bytes]
) -> None:
    status, headers, body = answer
    there.answer = status, headers, body.replace(b"SELF", there.url.encode())
    token = read_token(there.token())
    with pytest.raises(Unavailable):
        await issuer.verify(token)
    asked = len(there.asked)
    with pytest.raises(Unavailable):
        await issuer.verify(token)
    assert len(there.asked) == asked, "an issuer that just failed is left alone"
    there.answer = None
    time.now += 6
    await issuer.verify(token)


async def test_known_keys_serve_on_for_hours(there: support.Issuer, issuer: Issuer, time: Time) -> None:
    token = read_token(there.token())
    await issuer.verify(token)
    there.answer = (503, {}, b"")
    time.now += STALE_SECONDS - 1
    await issuer.verify(token)
    time.now += 2 + 6
    with pytest.raises(Unavailable):
        await issuer.verify(token)


async def test_keys_in_a_file(there: support.Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": there.keys}))
    there.answer = (500, {}, b"")
    by_file = Issuer(there.url, IssuerSettings(there.url, jwks=file))
    assert (await by_file.verify(read_token(there.token())))["iss"] == there.url
    assert there.asked == []


async def test_another_issuers_token_is_not_even_looked_at(there: support.Issuer, issuer: Issuer) -> None:
    with pytest.raises(TokenRefused):
        await issuer.verify(read_token(there.token(iss=there.url + "/")))
    assert there.asked == []


async def test_the_number_of_issuers_is_bounded() -> None:
    issuers = Issuers()
    first = issuers.get("https://0.example")
    for number in range(1, MOST_ISSUERS + 5):
        issuers.get(f"https://{number}.example")
    assert issuers.get("https://0.example") is not first
    await issuers.close()


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_keys_that_are_none_are_passed_over() -> None:
    good = public(ECKey.generate_key("P-256"), "good")
    keys = [
        {"kty": "oct", "k": "c2VjcmV0"},
        OctKey.generate_key(256).as_dict(private=True),
        public(RSAKey.generate_key(1024), "short"),
        public(ECKey.generate_key("P-256"), "for encryption", use="enc"),
        public(ECKey.generate_key("P-256"), "to sign", key_ops=["sign"]),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA"},
        {"kty": ["RSA"]},
        "text",
        None,
        good,
    ]
    assert [key.kid for key in read_keys({"keys": keys})] == ["good"]
    assert read_keys({"keys": good}) == []
    assert read_keys({}) == []
    assert len(read_keys({"keys": [good] * 500})) == 50


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "localhost",
        "",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "localhost", "[::1]", "::1"])
async def test_hosts_inside_are_not_resolved_for_a_rule(host: str) -> None:
    with pytest.raises(FetchFailed):
        await public_address(host, 443)


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "ftp://example.com", "https://user@example.com/", "https:///x", "https://127.0.0.1/", "x"],
)
async def test_addresses_that_a_rule_may_not_make_us_ask(url: str) -> None:
    with pytest.raises(FetchFailed):
        await Fetcher(None).get(url)


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"iat": 100, "exp": 400}, True),
        ({"iat": 100.5, "exp": 400.5, "nbf": 100}, True),
        ({"iat": 100, "exp": 175}, True),
        ({"iat": 100, "exp": 169}, False),
        ({"iat": 100}, False),
        ({"exp": 400}, False),
        ({"iat": 231, "exp": 400}, False),
        ({"iat": 229, "exp": 400}, True),
        ({"iat": 100, "exp": 400, "nbf": 300}, False),
        ({"iat": 100, "exp": 400, "nbf": None}, False),
        ({"iat": True, "exp": 400}, False),
        ({"iat": 100, "exp": "400"}, False),
        ({"iat": 100, "exp": 10**12}, False),
        ({"iat": -1, "exp": 400}, False),
        ({"iat": 100, "exp": 5000}, False),
    ],
)
def test_times(claims: dict[str, object], *, accepted: bool) -> None:
    if accepted:
        check_times(claims, 200.0, longest=3600)
    else:
        with pytest.raises(TokenRefused):
            check_times(claims, 200.0, longest=3600)
