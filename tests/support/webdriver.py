"""A real browser without a window: Chromium, driven by the W3C's WebDriver protocol."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.postgres import free_port
from tests.support.programs import find_program, require_program

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""What an element's id is called in the protocol (WebDriver, section 12.1)."""

READY_SECONDS = 30.0
PATIENCE_SECONDS = 20.0
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,900",
)


class Chromium:
    """One session of a browser. `url`: of the session at its driver."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One command.

        Raises:
            AssertionError: it failed.
        """
        answer = self._http.request(method, f"{self._url}{path}", json=body if body is not None else {})
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def go(self, url: str) -> None:
        """Open an address and wait until it is there."""
        self.call("POST", "/url", {"url": url})

    def arrive(self, url: str) -> None:
        """Wait until it is at an address: a click does not wait for where it leads.

        Raises:
            AssertionError: it does not get there.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (address := self.call("GET", "/url")) != url:
            assert time.monotonic() < deadline, f"at {address}, not at {url}"
            time.sleep(0.05)

    def find(self, css: str) -> str:
        """The id of the first element that a selector fits; waits for it."""
        return str(self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT])

    def text(self, css: str) -> str:
        """What people read in an element."""
        return str(self.call("GET", f"/element/{self.find(css)}/text"))

    def fill(self, css: str, words: str) -> None:
        """Clear a field and type something in."""
        found = self.find(css)
        self.call("POST", f"/element/{found}/clear")
        self.call("POST", f"/element/{found}/value", {"text": words})

    def press(self, css: str) -> None:
        """Click on an element."""
        self.call("POST", f"/element/{self.find(css)}/click")

    def style(self, css: str, name: str) -> str:
        """How an element looks."""
        return str(self.call("GET", f"/element/{self.find(css)}/css/{name}"))

    def complaints(self) -> list[str]:
        """What it wrote to its console since the last time: violations of the policy, what could not be loaded."""
        return [str(entry["message"]) for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def prefer(self, scheme: str) -> None:
        """As if the person had chosen `dark` or `light`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        self.call("POST", "/goog/cdp/execute", command)


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A running browser for the length of a `with`; `folder` is for what it keeps."""
    program, port = require_program("chromium"), free_port()
    command = [require_program("chromedriver"), f"--port={port}"]
    if setpriv := find_program("setpriv"):
        command = [setpriv, "--pdeathsig", "TERM", "--", *command]
    folder.mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = clean | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        with httpx.Client(trust_env=False, timeout=60) as http:
            base = f"http://127.0.0.1:{port}"
            _wait(http, base)
            arguments = [*OPTIONS, f"--user-data-dir={folder / 'profile'}"]
            wanted = {
                "browserName": "chrome",
                "timeouts": {"implicit": int(PATIENCE_SECONDS * 1000)},
                "goog:chromeOptions": {"binary": program, "args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            answer = http.post(f"{base}/session", json={"capabilities": {"alwaysMatch": wanted}})
            assert answer.status_code == 200, answer.text
            session = f"{base}/session/{answer.json()['value']['sessionId']}"
            try:
                yield Chromium(http, session)
            finally:
                http.delete(session)
    finally:
        driver.terminate()
        try:
            driver.wait(10)
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()


def _wait(http: httpx.Client, base: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if http.get(f"{base}/status").json()["value"]["ready"]:
                return
        time.sleep(0.05)
    raise AssertionError("the browser's driver did not get ready")
