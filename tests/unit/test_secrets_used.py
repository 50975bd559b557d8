"""The look for secrets in logs would see them."""

from __future__ import annotations

import base64

import pytest

from moorage.auth.random_secrets import PAT, REFRESH, ROBOT, SESSION, new_secret
from tests.support import secrets_used
from tests.support.secrets_used import leaked, note, note_header


@pytest.fixture(autouse=True)
def nothing_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_used, "_used", set())


def test_secrets_are_told_by_their_form() -> None:
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"x"}', b'{"a":"bcd"}'))
    for secret in (
        *(new_secret(kind) for kind in (PAT, ROBOT, REFRESH, SESSION)),
        f"{token}.{'s' * 40}",
        "Basic YWxpY2U6c29tZXRoaW5n",
        "-----BEGIN EC PRIVATE KEY-----",
        "$argon2id$v=19$m=65536",
        "$2b$10$abcdefgh",
    ):
        assert leaked(f'level=info msg="x" given={secret} more') != [], secret
    assert leaked('"GET /v2/ HTTP/1.1" 401 basic authentication mrg_pat_ eyJ') == []


def test_secrets_that_were_sent_are_found() -> None:
    header = base64.b64encode(b"alice:a long password").decode()
    note_header(f"Basic {header}")
    note_header("Bearer some-opaque-token")
    note_header("Basic not base64!")
    note("short")
    assert leaked("it says a long password here") == ["a lo..."]
    assert leaked(f"it says {header} here") == [header[:4] + "..."]
    assert leaked("it says some-opaque-token here") == ["some..."]
    assert leaked("it says short alice") == []


def test_a_first_password_may_be_shown() -> None:
    note("made-up-password")
    shown = "moorage: the first user is 'admin' with the password 'made-up-password', which is also in x\n"
    assert leaked(f"a line\n{shown}another\n") == []
    assert leaked(f"a line\n{shown}another made-up-password\n") == ["made..."]
