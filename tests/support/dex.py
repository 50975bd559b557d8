"""Dex, a real OIDC provider, as a program of its own; and a person with a browser who logs in with it."""

from __future__ import annotations

import html
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urljoin

import bcrypt
import httpx

from tests.support.postgres import free_port
from tests.support.programs import find_program, require_program

TOOLS = str(Path(__file__).parents[2] / ".tools" / "bin")
CLIENT, SECRET = "moorage", "dex-and-we-know-this"
JOBS, JOBS_SECRET = "https://registry.example.com", "jobs-know-this"
PASSWORD = "harbour-lights"
PEOPLE = ("ann", "bob", "cleo")
MOCK = "kilgore"
"""Whom Dex's connector for tests always is, in the group `authors`."""

READY_SECONDS = 30.0


@dataclass
class Dex:
    """A provider.

    Attributes:
        folder: for its configuration and log.
        port: where it listens; kept over restarts.
        callbacks: addresses that it may send browsers back to.
    """

    folder: Path
    port: int
    callbacks: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        """Its identifier."""
        return f"http://127.0.0.1:{self.port}/dex"

    def start(self) -> None:
        """Start it and wait until it answers. Each start makes new signing keys: its storage is memory."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "dex.json"
        file.write_text(json.dumps(self._config()))
        command = [require_program("dex", (TOOLS,)), "serve", str(file)]
        if setpriv := find_program("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", "--", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.issuer}/.well-known/openid-configuration", trust_env=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"Dex did not get ready:\n{(self.folder / 'log').read_text()[-3000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def job_token(self, user: str = "ann", client: tuple[str, str] = (JOBS, JOBS_SECRET)) -> str:
        """An ID token for a program, as a CI system would give one to a job."""
        form = {"grant_type": "password", "scope": "openid profile email", "username": f"{user}@example.com"}
        encoded = quote(client[0], safe=""), quote(client[1], safe="")  # RFC 6749 section 2.3.1
        answer = httpx.post(
            f"{self.issuer}/token", data={**form, "password": PASSWORD}, auth=encoded, trust_env=False, timeout=20
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id_token"])

    def _config(self) -> dict[str, Any]:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        people = [
            {"email": f"{name}@example.com", "hash": hashed, "username": name, "userID": f"id-of-{name}"}
            for name in PEOPLE
        ]
        return {
            "issuer": self.issuer,
            "storage": {"type": "memory"},
            "web": {"http": f"127.0.0.1:{self.port}"},
            "oauth2": {"skipApprovalScreen": True, "passwordConnector": "local"},
            "staticClients": [
                {"id": CLIENT, "secret": SECRET, "name": "Moorage", "redirectURIs": list(self.callbacks)},
                {"id": JOBS, "secret": JOBS_SECRET, "name": "Jobs", "redirectURIs": []},
            ],
            "enablePasswordDB": True,
            "staticPasswords": people,
            "connectors": [{"type": "mockCallback", "id": "mock", "name": "Example"}],
        }


@contextmanager
def dex(folder: Path, callbacks: Sequence[str]) -> Iterator[Dex]:
    """A running provider for the length of a `with`."""
    provider = Dex(folder, free_port(), callbacks)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


class Browser:
    """A person with a browser: keeps cookies, follows redirects one by one and fills in Dex's form."""

    def __init__(self) -> None:
        self.http = httpx.Client(trust_env=False, timeout=30, headers={"accept": "text/html"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def go(self, url: str) -> httpx.Response:
        """One GET, no redirect followed."""
        return self.http.get(url)

    def log_in(self, url: str, user: str) -> httpx.Response:
        """Begin at `url` (`/login/oidc/NAME`) and stop at the answer of our callback."""
        return self.go(self.way_back(url, user))

    def way_back(self, url: str, user: str) -> str:
        """As `log_in`, up to the address that Dex sends the browser back to, which is not opened."""
        answer = self.go(url)
        assert answer.status_code == 302, answer.text
        return self.authorize(answer.headers["location"], user)

    def authorize(self, url: str, user: str) -> str:
        """From an authorization request to the address that Dex sends the browser back to."""
        connector = "mock" if user == MOCK else "local"
        answer = self.http.get(url.replace("/dex/auth?", f"/dex/auth/{connector}?"))
        for _ in range(8):
            if answer.is_redirect:
                url = urljoin(str(answer.url), answer.headers["location"])
                if "/login/oidc/" in url:
                    return url
                answer = self.http.get(url)
                continue
            form = re.search(r'<form[^>]*action="([^"]*)"', answer.text)
            assert form is not None, answer.text[:2000]
            target = urljoin(str(answer.url), html.unescape(form[1]))
            answer = self.http.post(target, data={"login": f"{user}@example.com", "password": PASSWORD})
        raise AssertionError(f"Dex never sent the browser back: {answer.status_code} {answer.text[:1000]}")
