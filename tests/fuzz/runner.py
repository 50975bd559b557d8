"""Sends the cases, reads the answers, and watches the server meanwhile."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.client import Answer
from tests.fuzz.cases import ALONE, MANIFESTS_AT_LEAST, Case, cases
from tests.fuzz.grammar import BLOBS, REPOSITORIES, SESSION, TAGS
from tests.support.server import TRACEBACK, Server
from tests.support.wire import Client, Closed, Link, digest, image

SLOW_SECONDS = 1.0
REPEATS = 3
"""A case that was slow is only reported if it is slow each of that many further times."""

MEMORY_LIMIT = 200 << 20
HISTORY = 60
ANSWER_SECONDS = 20.0
SILENCE_SECONDS = 0.12
"""How long an answer to something that may be no whole request is waited for."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_UPLOAD = re.compile(r"/v2/[^?]*/blobs/uploads/([0-9a-f-]{36})")
_IMPATIENT = re.compile(rb"^Expect: 100-continue\r$", re.MULTILINE)
"""Who announces to wait and then sends at once may lose the answer to a refusal: the kernel resets then."""

_NO_SESSION = "00000000-0000-4000-8000-000000000000"


@dataclass
class Findings:
    """What the run found, of all threads.

    Attributes:
        failures: what is wrong, with the requests that led to it.
        statuses: answers by kind of case and status.
        slow: cases that were slow again and again.
        memory: the most resident memory of a worker, in bytes.
    """

    failures: list[tuple[str, list[Case]]] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    slow: list[tuple[float, Case]] = field(default_factory=list)
    memory: int = 0
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def fail(self, what: str, led_to_it: list[Case]) -> None:
        """Note a failure; the run ends."""
        with self.lock:
            self.failures.append((what, led_to_it))
        self.stop.set()


def prepare(server: Server) -> None:
    """Push what the cases ask for."""
    with Client(server) as client:
        for content in BLOBS:
            client.push_blob(REPOSITORIES[0], content)
            client.push_blob(REPOSITORIES[0], content, "sha512")
        for number, tag in enumerate(TAGS):
            manifest = image(BLOBS[0], *BLOBS[1 : 1 + number % 3])
            client.push_manifest(REPOSITORIES[0], tag, manifest).expect(201)


class Sender:
    """One thread's way of sending: connections, the newest session, and what was sent lately."""

    def __init__(self, server: Server, findings: Findings) -> None:
        self._server = server
        self._findings = findings
        self._link: Link | None = None
        self._session = _NO_SESSION
        self.history: deque[Case] = deque(maxlen=HISTORY)

    def run(self, made: random.Random, count: int, manifests_at_least: int) -> None:
        """Send that many cases, unless something is found before."""
        for case in cases(made, count, manifests_at_least):
            if self._findings.stop.is_set():
                break
            self.send(case)
            self._findings.sent += 1
        self.close()

    def send(self, case: Case) -> None:
        """Send one case and look at what comes back."""
        self.history.append(case)
        seconds = self._timed(case)
        if seconds > SLOW_SECONDS:
            again = [self._timed(case) for _ in range(REPEATS)]
            if min(again) > SLOW_SECONDS:
                with self._findings.lock:
                    self._findings.slow.append((min(again), case))

    def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _timed(self, case: Case) -> float:
        data = case.data.replace(SESSION.encode(), self._session.encode())
        began = time.monotonic()
        try:
            if case.way == ALONE:
                return self._alone(case, data)
            answer = self._kept(case, data)
        except TimeoutError:
            self.close()
            self._fail(f"no answer within {ANSWER_SECONDS} s")
            return 0.0
        except (Closed, ConnectionError) as error:
            self.close()
            if _IMPATIENT.search(case.data):
                self._count(case, 0)
                return 0.0
            self._fail(f"the connection broke instead of an answer: {error!r}")
            return 0.0
        seconds = time.monotonic() - began
        self._look_at(case, answer)
        return seconds

    def _kept(self, case: Case, data: bytes) -> Answer:
        for attempt in (1, 2):
            fresh = self._link is None
            link = self._link or Link(self._server.connect(ANSWER_SECONDS))
            self._link = None
            try:
                with suppress(BrokenPipeError, ConnectionResetError):
                    link.send(data)
                answer = link.answer(case.method)
                break
            except (Closed, ConnectionError):
                # A kept connection may be closed by the server at any time between two requests.
                link.close()
                if fresh or attempt == 2:
                    raise
        if (answer.header("Connection") or "").lower() == "close" or answer.status in {400, 408, 413, 414, 431}:
            link.close()
        else:
            self._link = link
        return answer

    def _alone(self, case: Case, data: bytes) -> float:
        """The bytes on a connection of their own; what comes is looked at for statuses only."""
        began = time.monotonic()
        received, waited = b"", 0.0
        with Link(self._server.connect(ANSWER_SECONDS)) as link:
            with suppress(OSError):
                link.send(data)
            link.socket.settimeout(SILENCE_SECONDS)
            with suppress(OSError):
                received = link.socket.recv(65536)
                waited = time.monotonic() - began
            with suppress(OSError):
                link.socket.shutdown(socket.SHUT_WR)
        statuses = [int(status) for status in _STATUS.findall(received)]
        self._count(case, statuses[0] if statuses else 0)
        if any(status >= 500 for status in statuses):
            self._fail(f"answered {received[:300]!r}")
        return waited

    def _look_at(self, case: Case, answer: Answer) -> None:
        self._count(case, answer.status)
        if answer.status >= 500:
            self._fail(f"answered {answer.status} {answer.body[:300]!r}")
        location = next(iter(answer.values("Location")), "")
        if answer.status == 202 and (found := _UPLOAD.match(location)):
            self._session = found[1]
        for name, value in answer.headers:
            if not all(" " <= char <= "~" for char in name + value):
                self._fail(f"the answer's header {name!r} has the value {value!r}")
        ours = answer.header("X-Content-Type-Options") is not None
        if ours and answer.status >= 400 and case.method != "HEAD":
            self._look_at_error(answer)

    def _look_at_error(self, answer: Answer) -> None:
        try:
            if answer.header("Content-Type") == "application/problem+json":
                # The management API's form (RFC 9457); the requests do not keep out of its addresses.
                problem = json.loads(answer.body)
                assert problem["status"] == answer.status
                assert problem["code"]
                assert problem["detail"].endswith(".")
            else:
                assert answer.codes()
        except (AssertionError, ValueError, KeyError) as error:
            self._fail(f"an error without the specified body: {answer.status} {answer.body[:300]!r}: {error!r}")

    def _count(self, case: Case, status: int) -> None:
        with self._findings.lock:
            self._findings.statuses[case.kind, status] += 1

    def _fail(self, what: str) -> None:
        self._findings.fail(what, list(self.history))


class Watch:
    """Looks at the processes and at the log until told to stop."""

    def __init__(self, server: Server, findings: Findings, senders: list[Sender]) -> None:
        self._server = server
        self._findings = findings
        self._senders = senders
        self._workers = set(server.workers())
        self._read = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Look a last time, and end."""
        self._ended.set()
        self._thread.join()
        self.look()

    def look(self) -> None:
        """Look once."""
        workers = set(self._server.workers())
        if workers != self._workers:
            self._fail(f"a worker died: there were {self._workers}, there are {workers}")
        for pid in workers:
            with suppress(OSError):
                memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                self._findings.memory = max(self._findings.memory, memory)
                if memory > MEMORY_LIMIT:
                    self._fail(f"worker {pid} has {memory >> 20} MiB resident")
        with self._server.log_file.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        if TRACEBACK.encode() in new or b"request failed" in new:
            at = max(new.find(TRACEBACK.encode()), new.find(b"request failed"))
            self._fail(f"in the log: {new[max(0, at - 500) : at + 3000].decode(errors='replace')}")

    def _run(self) -> None:
        while not self._ended.wait(0.5) and not self._findings.stop.is_set():
            self.look()

    def _fail(self, what: str) -> None:
        led = [case for sender in self._senders for case in list(sender.history)]
        self._findings.fail(what, led)


def run(server: Server, seed: int, count: int, threads: int) -> Findings:
    """The whole run against a server that is prepared."""
    findings = Findings()
    senders = [Sender(server, findings) for _ in range(threads)]
    watch = Watch(server, findings, senders)
    watch.start()
    shares = [count // threads + (number < count % threads) for number in range(threads)]
    working = [
        threading.Thread(
            target=sender.run, args=(random.Random(f"{seed} {number}"), shares[number], MANIFESTS_AT_LEAST // threads)
        )
        for number, sender in enumerate(senders)
    ]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    watch.end()
    _look_after(server, findings)
    return findings


def replay(server: Server, stored: list[Case]) -> Findings:
    """Send stored cases in their order."""
    findings = Findings()
    sender = Sender(server, findings)
    watch = Watch(server, findings, [sender])
    for case in stored:
        sender.send(case)
        findings.sent += 1
    sender.close()
    time.sleep(1.0)
    watch.look()
    return findings


def _look_after(server: Server, findings: Findings) -> None:
    """After all that the registry serves: what was pushed before is whole, and lists are lists."""
    if findings.failures:
        return
    with Client(server) as client:
        client.get("/readyz").expect(200)
        for content in BLOBS:
            answer = client.get(f"/v2/{REPOSITORIES[0]}/blobs/{digest(content)}")
            if answer.status == 200 and answer.body != content:
                findings.fail(f"the blob {digest(content)} has other bytes now", [])
        catalog = client.get("/v2/_catalog?n=1000").expect(200).json()["repositories"]
        for repository in catalog[:50]:
            for tag in client.get(f"/v2/{repository}/tags/list?n=50").expect(200).json()["tags"]:
                found = client.get(f"/v2/{repository}/manifests/{tag}")
                if found.status != 200 or found.need("Docker-Content-Digest") != digest(
                    found.body, found.need("Docker-Content-Digest").partition(":")[0]
                ):
                    findings.fail(f"the tag {repository}:{tag} is broken: {found.status}", [])


def store(path: Path, seed: int, what: str, led_to_it: list[Case]) -> None:
    """Write a failure to a file, for replay."""
    stored = {"seed": seed, "what": what, "cases": [case.to_json() for case in led_to_it]}
    path.write_text(json.dumps(stored, indent=1))


def load(path: Path) -> list[Case]:
    """The cases of a stored failure."""
    return [Case.from_json(case) for case in json.loads(path.read_text())["cases"]]
