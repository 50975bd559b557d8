"""Keyless CI over a socket: tokens of jobs as GitHub, GitLab and Kubernetes write them, and forged ones."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc.jwk import RSAKey

from tests.support.dex import JOBS, JOBS_SECRET, Dex, dex
from tests.support.issuer import AUDIENCE, Issuer, encode, issuing, other_keys, public, sign, sign_shared
from tests.support.local import FORM, Accounts, Header, ask_token, basic, bearer
from tests.support.server import Server, serving
from tests.support.wire import Client, Link

DATABASES = ("sqlite", "postgresql")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
REPOSITORY = "team/app"

GITHUB: dict[str, Any] = {
    "repository": "acme/app",
    "repository_owner": "acme",
    "ref": "refs/heads/main",
    "run_attempt": "1",
}
GITLAB: dict[str, Any] = {"project_path": "acme/app", "ref_protected": "true", "pipeline_source": "push"}
KUBERNETES: dict[str, Any] = {"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "builder", "uid": "1-2"}}}

RULES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "github": (
        "+github",
        [{"claim": "repository", "equals": "acme/app"}, {"claim": "ref", "glob": "refs/heads/*"}],
    ),
    "gitlab": (
        "+gitlab",
        [{"claim": "project_path", "one_of": ["acme/app", "acme/other"]}, {"claim": "ref_protected", "equals": "true"}],
    ),
    "kubernetes": (
        "+kubernetes",
        [
            {"claim": ["kubernetes.io", "namespace"], "equals": "ci"},
            {"claim": ["kubernetes.io", "serviceaccount", "name"], "equals": "builder"},
        ],
    ),
    "strict": ("+strict", [{"claim": "admin", "equals": True}, {"claim": "level", "equals": 1}]),
    "two-a": ("+one", [{"claim": "both", "equals": "yes"}]),
    "two-b": ("+other", [{"claim": "both", "equals": "yes"}]),
    "subject": ("+subject", [{"claim": "sub", "equals": "the whole subject"}]),
}


@dataclass
class Place:
    """A registry and an issuer that it trusts."""

    server: Server
    issuer: Issuer
    accounts: Accounts


def add_robot(accounts: Accounts, name: str) -> int:
    accounts.robot(name)
    robot = int(accounts.rows("SELECT id FROM robots WHERE name=?", name)[0][0])
    accounts.run(
        "INSERT INTO grants (project_id, pattern, principal_kind, principal_id, effect, role, actions, created_at,"
        " version, note, created_by) VALUES (1, '', 'robot', ?, 'allow', 'writer', '', 1, 1, '', '')",
        robot,
    )
    return robot


def add_rule(accounts: Accounts, name: str, robot: int, issuer: str, conditions: list[dict[str, Any]]) -> None:
    accounts.run(
        "INSERT INTO trust_rules (name, robot_id, issuer, audience, conditions, disabled, created_at, version,"
        " created_by) VALUES (?, ?, ?, ?, ?, FALSE, 1, 1, '')",
        *(name, robot, issuer, AUDIENCE, json.dumps(conditions)),
    )


def config(*issuers: str) -> dict[str, Any]:
    return {
        "auth": {"local": {"issuers": [{"issuer": issuer} for issuer in issuers]}},
        "limits": {"logins": {"enabled": False}},
        "log": {"formatter": "json"},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Place]:
    seen: list[str] = []
    folder = tmp_path_factory.mktemp("keyless")
    with issuing() as issuer, serving(folder, config=config(issuer.url), database=database_url) as server:
        accounts = Accounts(server)
        for name, (robot, conditions) in RULES.items():
            add_rule(accounts, name, add_robot(accounts, robot), issuer.url, conditions)
        yield Place(server, issuer, accounts)
        seen.append(server.log())
    assert "eyJ" not in seen[0], "a token is in the log"


@pytest.fixture
def client(place: Place) -> Iterator[Client]:
    with Client(place.server) as made:
        yield made


def status_of(client: Client, token: str, user: str = "oidc") -> int:
    return client.ask("GET", "/token?service=moorage", [basic(user, token)]).status


def who_is(token: str) -> dict[str, Any]:
    """What one of our own tokens says."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def exchange(client: Client, token: str, **more: str) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ID_TOKEN, "service": "moorage"}
    answer = client.ask("POST", "/token", [FORM], urlencode({**form, **more}).encode())
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("claims", "robot"),
    [
        (GITHUB, "+github"),
        ({**GITHUB, "ref": "refs/heads/release-1"}, "+github"),
        (GITLAB, "+gitlab"),
        ({**GITLAB, "project_path": "acme/other"}, "+gitlab"),
        (KUBERNETES, "+kubernetes"),
        ({"admin": True, "level": 1}, "+strict"),
        ({"sub": "the whole subject"}, "+subject"),
        ({**GITHUB, "aud": ["other", AUDIENCE]}, "+github"),
    ],
)
def test_a_job_is_the_robot_of_its_rule(place: Place, client: Client, claims: dict[str, Any], robot: str) -> None:
    token = place.issuer.token(**claims)
    for user in ("oidc", robot, "<token>"):
        answer = ask_token(client, basic(user, token), f"repository:{REPOSITORY}:pull,push")
        said = who_is(answer["token"])
        assert (said["sub"], said["kind"]) == (robot, "robot")
        assert "refresh_token" not in answer
    assert client.ask("GET", "/v2/", [basic(robot, token)]).status == 200
    assert client.ask("GET", "/v2/", [basic("oidc", token)]).status == 200
    form = {"grant_type": "password", "service": "moorage", "username": robot, "password": token, "client_id": "ci"}
    assert client.ask("POST", "/token", [FORM], urlencode(form).encode()).status == 200


def test_a_job_token_is_exchanged_for_ours(place: Place, client: Client) -> None:
    status, answer = exchange(client, place.issuer.token(**GITHUB), scope=f"repository:{REPOSITORY}:pull,push")
    assert status == 200, answer
    assert answer["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
    target = f"/v2/{REPOSITORY}/blobs/uploads/"
    assert client.ask("POST", target, [bearer(answer["access_token"])], b"").status == 202
    assert exchange(client, place.issuer.token(both="yes"), username="+other")[0] == 200


def test_exchange_takes_nothing_else(place: Place, client: Client) -> None:
    token = place.issuer.token(**GITHUB)
    for more in (
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"subject_token_type": ""},
        {"subject_token": "mrg_pat_x"},
        {"subject_token": ""},
        {"actor_token": token, "actor_token_type": ID_TOKEN},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    ):
        assert exchange(client, token, **more)[0] == 400, more


def test_rules_of_several_robots_need_a_choice(place: Place, client: Client) -> None:
    token = place.issuer.token(both="yes")
    answer = client.ask(
        "GET", f"/token?service=moorage&scope=repository:{REPOSITORY}:pull,push", [basic("oidc", token)]
    )
    assert answer.status == 401
    assert b"give the name of the one that is meant as user name" in answer.body
    assert client.ask("GET", "/v2/", [basic("oidc", token)]).status == 401, "there is no telling what it will ask"
    assert status_of(client, token, "+one") == 200
    assert status_of(client, token, "+other") == 200
    assert status_of(client, token, "+github") == 401
    assert status_of(client, token, "admin") == 401


def test_a_rule_of_another_project_stands_in_nobodys_way(place: Place, client: Client) -> None:
    """Whoever manages a robot may write any rule for it, with the conditions of others, too."""
    accounts = place.accounts
    statement = (
        "INSERT INTO projects (name, description, visibility, create_on_push, public, settings, created_at, created_by,"
        " version) VALUES (?, '', 'private', 'inherit', FALSE, '{}', 1, '', 1)"
    )
    for name in ("bobs", "theirs"):  # the stranger's is older
        project, robot = accounts.run(statement, name), add_robot(accounts, f"{name}+ci")
        accounts.run("UPDATE robots SET project_id=? WHERE id=?", project, robot)
        add_rule(accounts, "same", robot, place.issuer.url, [{"claim": "job", "equals": "theirs"}])
    token = place.issuer.token(job="theirs")
    push, pull = "repository:theirs/app:pull,push", "repository:theirs/app:pull"
    for scopes in ((push,), (pull,), (push, "repository:elsewhere/base:pull"), (pull, "registry:catalog:*")):
        answer = ask_token(client, basic("oidc", token), *scopes)
        assert who_is(answer["token"])["sub"] == "theirs+ci"
        assert answer["scope"].startswith("repository:theirs/app:")
    assert exchange(client, token, scope=push)[1]["scope"] == "repository:theirs/app:overwrite,pull,push"
    assert who_is(ask_token(client, basic("oidc", token), "repository:bobs/app:pull")["token"])["sub"] == "bobs+ci"
    for asked in ([], ["repository:elsewhere/base:pull"]):
        assert who_is(ask_token(client, basic("oidc", token), *asked)["token"])["access"] == [], "docker login"
    assert client.ask("GET", "/v2/", [basic("theirs+ci", token)]).status == 200


def test_the_audit_log_says_whose_job_it_was(place: Place, client: Client) -> None:
    token = place.issuer.token(**GITHUB, sub="repo:acme/app:ref:refs/heads/main")
    assert status_of(client, token) == 200
    # From an address of its own: of what is refused to one address only so much is told apart in a minute.
    with Link(socket.create_connection(("127.0.0.1", place.server.port), 30, ("127.0.0.9", 0))) as link:
        evil = place.issuer.token(repository="evil/app", sub="repo:evil/app")
        link.ask("GET", "/token?service=moorage", [basic("oidc", evil)]).expect(401)
    entries = place.accounts.audit("login.job")
    good = [json.loads(row[3]) for row in entries if row[:3] == ("ok", "+github", "oidc:github")]
    assert {
        "issuer": place.issuer.url,
        "subject": "repo:acme/app:ref:refs/heads/main",
        "rule": "github",
        "claims": {"repository": "acme/app", "ref": "refs/heads/main"},
    } in good
    bad = [json.loads(row[3]) for row in entries if row[0] == "refused"]
    assert any(one.get("subject") == "repo:evil/app" and "no trust rule" in one["reason"] for one in bad)
    assert "eyJ" not in json.dumps(entries)
    assert place.accounts.rows("SELECT count(*) FROM trust_rules WHERE name='github' AND last_used_at > 1") == [(1,)]


def _claims_that_fulfil_nothing() -> dict[str, dict[str, Any]]:
    now = int(time.time())
    return {
        "no iss": {**GITHUB, "iss": None},
        "other iss": {**GITHUB, "iss": "https://token.actions.githubusercontent.com"},
        "iss with a slash": {**GITHUB, "iss": "+/"},
        "iss in capitals": {**GITHUB, "iss": "HTTP"},
        "iss as a list": {**GITHUB, "iss": ["x"]},
        "no aud": {**GITHUB, "aud": None},
        "other aud": {**GITHUB, "aud": "https://other.example.com"},
        "aud with more behind": {**GITHUB, "aud": AUDIENCE + ".evil.example"},
        "aud as a part": {**GITHUB, "aud": [AUDIENCE[:-1]]},
        "aud empty": {**GITHUB, "aud": []},
        "aud of mixed types": {**GITHUB, "aud": [AUDIENCE, 1]},
        "aud as an object": {**GITHUB, "aud": {AUDIENCE: True}},
        "no exp": {**GITHUB, "exp": None},
        "expired": {**GITHUB, "exp": now - 120, "iat": now - 400},
        "exp as text": {**GITHUB, "exp": str(now + 300)},
        "exp as true": {**GITHUB, "exp": True},
        "for years": {**GITHUB, "exp": now + 10**8},
        "no iat": {**GITHUB, "iat": None},
        "from the future": {**GITHUB, "iat": now + 600, "exp": now + 900},
        "not yet": {**GITHUB, "nbf": now + 600},
        "no sub": {**GITHUB, "sub": None},
        "sub as number": {**GITHUB, "sub": 7},
        "no claims of a job": {},
        "one claim of two": {"repository": "acme/app"},
        "other repository": {**GITHUB, "repository": "evil/app"},
        "repository with more behind": {**GITHUB, "repository": "acme/app-evil"},
        "repository with more before": {**GITHUB, "repository": "evil/acme/app"},
        "repository in capitals": {**GITHUB, "repository": "Acme/App"},
        "repository with a line end": {**GITHUB, "repository": "acme/app\n"},
        "repository in a list": {**GITHUB, "repository": ["acme/app"]},
        "claim in other capitals": {"Repository": "acme/app", "ref": "refs/heads/main"},
        "ref below a star": {**GITHUB, "ref": "refs/heads/main/evil"},
        "ref of a tag": {**GITHUB, "ref": "refs/tags/heads/main"},
        "ref with the prefix only": {**GITHUB, "ref": "xrefs/heads/main"},
        "ref as a number": {**GITHUB, "ref": 1},
        "true instead of text": {**GITLAB, "ref_protected": True},
        "text instead of true": {"admin": "true", "level": 1},
        "1 instead of true": {"admin": 1, "level": 1},
        "true instead of 1": {"admin": True, "level": True},
        "1.0 instead of 1": {"admin": True, "level": 1.0},
        "dots instead of nesting": {"kubernetes.io.namespace": "ci", "kubernetes.io.serviceaccount.name": "builder"},
        "half of the nesting": {"kubernetes.io": {"namespace": "ci"}},
        "text instead of nesting": {"kubernetes.io": "namespace"},
        "subject with more behind": {"sub": "the whole subject and more"},
    }


FORGED_CLAIMS = _claims_that_fulfil_nothing()


@pytest.mark.parametrize("case", FORGED_CLAIMS)
def test_claims_that_fulfil_no_rule(place: Place, client: Client, case: str) -> None:
    claims = dict(FORGED_CLAIMS[case])
    if claims.get("iss") == "+/":
        claims["iss"] = place.issuer.url + "/"
    elif claims.get("iss") == "HTTP":
        claims["iss"] = place.issuer.url.replace("http", "HTTP")
    token = place.issuer.token(**claims)
    assert status_of(client, token) == 401
    assert client.ask("GET", "/v2/", [basic("+github", token)]).status == 401
    assert exchange(client, token)[0] == 401


def forged(issuer: Issuer) -> dict[str, str]:
    """Tokens with good claims that the issuer did not sign, or not like this."""
    claims, kid = issuer.claims(**GITHUB), issuer.kid
    head = {"alg": "RS256", "typ": "JWT", "kid": kid}
    mine = RSAKey.generate_key(2048)
    good = issuer.token(**GITHUB)
    first, second, third = good.split(".")
    modulus, pem = str(public(issuer.key, kid)["n"]).encode(), issuer.key.as_pem(private=False)
    none = f"{encode(json.dumps({**head, 'alg': 'none'}).encode())}.{second}."
    evil = encode(json.dumps({**claims, "repository": "acme/app", "sub": "x"}).encode())
    twice = encode(json.dumps(claims)[:-1].encode() + b',"iss":"https://evil.example"}')
    ec = other_keys()
    return {
        "none": none,
        "none with a signature": none + third,
        "NONE": none.replace(none.split(".", maxsplit=1)[0], encode(json.dumps({**head, "alg": "NONE"}).encode())),
        "no alg": f"{encode(json.dumps({'typ': 'JWT', 'kid': kid}).encode())}.{second}.{third}",
        "alg as a list": f"{encode(json.dumps({**head, 'alg': ['RS256']}).encode())}.{second}.{third}",
        "HS256 with the public key": sign_shared({**head, "alg": "HS256"}, claims, pem),
        "HS256 with the modulus": sign_shared({**head, "alg": "HS256"}, claims, modulus),
        "HS512": sign_shared({**head, "alg": "HS512"}, claims, pem),
        "another key, the same kid": sign(head, claims, mine),
        "another key, unknown kid": sign({**head, "kid": "mine"}, claims, mine),
        "another key, no kid": sign({"alg": "RS256"}, claims, mine),
        "kid is a path": sign({**head, "kid": "../../dev/null"}, claims, mine),
        "kid is SQL": sign({**head, "kid": "' OR '1'='1"}, claims, mine),
        "kid is a number": sign({**head, "kid": 1}, claims, issuer.key),
        "jwk": sign({**head, "jwk": public(mine, kid)}, claims, mine),
        "jwk and the right key": sign({**head, "jwk": public(mine, kid)}, claims, issuer.key),
        "jku": sign({**head, "jku": "https://evil.example/keys"}, claims, mine),
        "x5u": sign({**head, "x5u": "https://evil.example/chain"}, claims, mine),
        "x5c": sign({**head, "x5c": ["MIIB"]}, claims, mine),
        "crit": sign({**head, "crit": ["exp"]}, claims, issuer.key),
        "b64": sign({**head, "b64": False}, claims, issuer.key),
        "an access token": sign({**head, "typ": "at+jwt"}, claims, issuer.key),
        "a logout token": sign({**head, "typ": "logout+jwt"}, claims, issuer.key),
        "typ as a number": sign({**head, "typ": 1}, claims, issuer.key),
        "signed as ES256": sign({**head, "alg": "ES256"}, claims, ec["ES256"]),
        "signed as EdDSA": sign({**head, "alg": "EdDSA"}, claims, ec["EdDSA"]),
        "RS512 for a key of RS256": sign({**head, "alg": "RS512"}, claims, issuer.key),
        "PS256 for a key of RS256": sign({**head, "alg": "PS256"}, claims, issuer.key),
        "no signature": f"{first}.{second}.",
        "half a signature": f"{first}.{second}.{third[:100]}",
        "another signature": f"{first}.{evil}.{third}",
        "padding": f"{first}.{second}.{third}==",
        "four parts": f"{good}.{third}",
        "claims are a list": sign(head, [claims], issuer.key),
        "claims are text": sign(head, "claims", issuer.key),
        "a member twice": f"{first}.{twice}.{third}",
        "not JSON": f"{first}.{encode(b'{')}.{third}",
        "NaN": f"{first}.{encode(json.dumps({**claims, 'x': float('nan')}).encode())}.{third}",
        "deep": f"{first}.{encode(b'[' * 3000)}.{third}",
        "standard base64": f"{first}.{second}.{third.replace('_', '/').replace('-', '+')}+/",
        "a blank": f"{first}. {second}.{third}",
    }


FORGERIES = 41


@pytest.fixture(scope="module")
def forgeries(place: Place) -> dict[str, str]:
    return forged(place.issuer)


@pytest.mark.parametrize("number", range(FORGERIES))
def test_forged_tokens(place: Place, client: Client, forgeries: dict[str, str], number: int) -> None:
    case, token = list(forgeries.items())[number]
    who: list[Header] = [basic("+github", token)]
    assert client.ask("GET", "/token?service=moorage", who).status == 401, case
    assert client.ask("GET", "/v2/", who).status == 401, case
    assert exchange(client, token)[0] in (400, 401), case
    assert client.ask("GET", "/v2/", [bearer(token)]).status == 401, case
    assert status_of(client, place.issuer.token(**GITHUB)) == 200, case
    assert len(forgeries) == FORGERIES


def test_our_own_tokens_are_no_job_tokens(place: Place, client: Client) -> None:
    ours = ask_token(client, basic("oidc", place.issuer.token(**GITHUB)))["token"]
    assert status_of(client, ours) == 401
    assert exchange(client, ours)[0] == 401


def test_what_is_switched_off_or_gone_is_out_at_once(place: Place, client: Client) -> None:
    accounts, token = place.accounts, place.issuer.token(gone="yes")
    robot = add_robot(accounts, "+gone")
    add_rule(accounts, "gone", robot, place.issuer.url, [{"claim": "gone", "equals": "yes"}])
    assert status_of(client, token) == 200
    for off, on in (
        (
            "UPDATE trust_rules SET disabled=TRUE WHERE name='gone'",
            "UPDATE trust_rules SET disabled=FALSE WHERE name='gone'",
        ),
        ("UPDATE robots SET disabled=TRUE WHERE name='+gone'", "UPDATE robots SET disabled=FALSE WHERE name='+gone'"),
        ("UPDATE robots SET expires_at=5 WHERE name='+gone'", "UPDATE robots SET expires_at=NULL WHERE name='+gone'"),
    ):
        accounts.run(off)
        assert status_of(client, token) == 401, off
        accounts.run(on)
        assert status_of(client, token) == 200, on
    accounts.run("DELETE FROM robots WHERE name='+gone'")
    assert status_of(client, token) == 401


def test_keys_may_be_replaced_and_floods_do_not_reach_the_issuer(tmp_path: Path) -> None:
    with issuing() as issuer, serving(tmp_path / "server", config=config(issuer.url), workers_wanted=1) as server:
        accounts = Accounts(server)
        add_rule(accounts, "r", add_robot(accounts, "+r"), issuer.url, [{"claim": "a", "equals": "b"}])
        with Client(server) as client:
            old = issuer.token(a="b")
            assert status_of(client, old) == 200
            issuer.rotate("second")
            for number in range(20):
                assert status_of(client, issuer.token({"kid": f"made-up-{number}"}, a="b")) == 401
            assert len([path for path in issuer.asked if path == "/keys"]) <= 2
            time.sleep(10.5)
            assert status_of(client, issuer.token(a="b")) == 200
            assert status_of(client, old) == 401
            # The issuer is gone: who was known before still gets in, an unknown key is no reason for a 503 flood.
            issuer.answer = (500, {}, b"")
            assert status_of(client, issuer.token(a="b")) == 200


def test_an_issuer_that_does_not_answer_is_503_for_its_jobs_only(tmp_path: Path) -> None:
    with issuing() as issuer:
        how: dict[str, Any] = {"config": config(issuer.url), "workers_wanted": 1}
        with serving(tmp_path / "server", clean=False, **how) as server:
            accounts = Accounts(server)
            add_rule(accounts, "r", add_robot(accounts, "+r"), issuer.url, [{"claim": "a", "equals": "b"}])
            secret = accounts.robot("+other")
            with Client(server) as client:
                issuer.answer = (500, {}, b"{}")
                answer = client.ask("GET", "/token?service=moorage", [basic("oidc", issuer.token(a="b"))])
                assert answer.status == 503
                assert int(answer.header("retry-after") or 0) > 0
                assert issuer.url not in answer.body.decode()
                assert status_of(client, secret, "+other") == 200
                issuer.answer = None
                time.sleep(5.1)
                assert status_of(client, issuer.token(a="b")) == 200


def test_an_issuer_that_only_a_rule_names_must_be_public(tmp_path: Path) -> None:
    """A rule is some user's word: it must not make the registry ask addresses inside."""
    how: dict[str, Any] = {"config": config(), "workers_wanted": 1, "clean": False}
    with issuing() as issuer, serving(tmp_path / "server", **how) as server:
        accounts = Accounts(server)
        robot = add_robot(accounts, "+r")
        inside = ["https://127.0.0.1", "https://[::1]", "https://169.254.169.254", "https://2130706433", issuer.url]
        for number, url in enumerate(inside):
            add_rule(accounts, f"r{number}", robot, url, [{"claim": "a", "equals": "b"}])
        with Client(server) as client:
            for url in inside:
                assert status_of(client, issuer.token(iss=url, a="b")) == 503, url
        assert issuer.asked == []


def test_a_real_providers_token(tmp_path: Path) -> None:
    with (
        dex(tmp_path / "dex", []) as provider,
        serving(tmp_path / "server", config=config(provider.issuer), workers_wanted=1) as server,
    ):
        accounts = Accounts(server)
        conditions = [{"claim": "email", "equals": "ann@example.com"}, {"claim": "email_verified", "equals": True}]
        robot = add_robot(accounts, "+r")
        accounts.run(
            "INSERT INTO trust_rules (name, robot_id, issuer, audience, conditions, disabled, created_at, version,"
            " created_by) VALUES ('dex', ?, ?, ?, ?, FALSE, 1, 1, '')",
            *(robot, provider.issuer, JOBS, json.dumps(conditions)),
        )
        with Client(server) as client:
            token = provider.job_token("ann")
            assert status_of(client, token) == 200
            assert status_of(client, provider.job_token("bob")) == 401
            restart(provider)
            time.sleep(10.5)
            assert status_of(client, provider.job_token("ann", (JOBS, JOBS_SECRET))) == 200, "the new keys"
            assert status_of(client, token) == 401, "the old ones are gone"


def restart(provider: Dex) -> None:
    """Dex keeps its keys in memory here, so it comes back with new ones."""
    provider.stop()
    provider.start()
