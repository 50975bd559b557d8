"""Writers that push, move, mount and delete, and remember what they were told.

Each writer has repositories of its own, so it knows what must be there: a fact whose last change was answered has one
possible value; one whose change got no answer may be as before or as asked, and all facts of one request go together.
What contradicts that is written down as a sentence in `Writer.wrong`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.crash.client import Answer, Client, Manifest, NoAnswer, content, digest_of, image, index

Key = tuple[str, str, str]
"""Kind (tag, manifest, blob), repository, and name or digest."""

Wanted = Mapping[Key, str | None]
"""What a request wants facts to be."""


class Refused(Exception):
    """The server answered 5xx: the request may or may not have been carried out."""


@dataclass
class Session:
    """An upload under way: `acknowledged` bytes were answered 202, `sent` were sent."""

    repository: str
    path: str
    data: bytes
    acknowledged: int = 0
    sent: int = 0


@dataclass
class Request:
    """A change without an answer: the facts before it, and as it wanted them."""

    before: dict[Key, str | None]
    wanted: Wanted


@dataclass
class Ledger:
    """What a writer knows: for each fact its possible values; a value is a digest, or None for "absent"."""

    facts: dict[Key, set[str | None]] = field(default_factory=dict)
    unanswered: list[Request] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    acknowledged: int = 0

    def known(self, kind: str, repository: str) -> list[str]:
        """Names of the facts of a kind that are certainly there."""
        return [
            key[2]
            for key, values in self.facts.items()
            if key[:2] == (kind, repository) and len(values) == 1 and None not in values
        ]

    def ask(self, wanted: Wanted) -> Request:
        """A change is about to be asked for."""
        before = {key: next(iter(self.facts.get(key, {None}))) for key in wanted}
        certain = all(len(self.facts.get(key, {None})) == 1 for key in wanted)
        self._overtake(wanted)
        for key, value in wanted.items():
            self.facts.setdefault(key, {None}).add(value)
        request = Request(before, wanted)
        if certain:
            self.unanswered.append(request)
        return request

    def settle(self, request: Request) -> None:
        """It was answered."""
        self.acknowledged += 1
        for key, value in request.wanted.items():
            self.facts[key] = {value}
        self._overtake(request.wanted)

    def _overtake(self, wanted: Wanted) -> None:
        """What another change touches says nothing any more about one before it."""
        self.unanswered = [other for other in self.unanswered if not wanted.keys() & other.wanted.keys()]


class Writer(threading.Thread):
    """One client that changes its repositories until it is stopped or loses its connection.

    Args:
        number: of the writer; names its repositories.
        seed: of its choices.
        patient: go on after a refusal and a lost connection (a database that is down) instead of ending.
    """

    def __init__(self, number: int, seed: object, ledger: Ledger | None = None, *, patient: bool = False) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.ledger = ledger or Ledger()
        self.wrong: list[str] = []
        self.refused = 0
        self._repository = f"load/w{number}"
        self._seed = repr((number, seed))
        self._random = random.Random(self._seed)
        self._patient = patient
        self._stopped = threading.Event()
        self._count = 0
        self._client: Client

    def begin(self, port: int) -> None:
        """Start writing to a server."""
        self._client = Client(port)
        self.start()

    def end(self) -> None:
        """Stop after the request that is under way."""
        self._stopped.set()
        self.join(60)
        assert not self.is_alive()

    def run(self) -> None:
        """Until stopped, or the server is gone."""
        actions = (
            (self._push_image, 6),
            (self._push_index, 2),
            (self._push_blob, 3),
            (self._mount, 2),
            (self._delete_manifest, 1),
            (self._delete_tag, 1),
            (self._delete_blob, 1),
            (self._leave_session, 1),
            (self._resume_session, 1),
        )
        choices = [action for action, weight in actions for _ in range(weight)]
        try:
            while not self._stopped.is_set():
                try:
                    self._random.choice(choices)()
                except (NoAnswer, Refused):
                    if not self._patient:
                        return
                    time.sleep(0.02)
        except Exception as error:  # noqa: BLE001 - the test that started it reports it
            self.wrong.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self._client.close()

    def _change(self, wanted: Wanted, send: Callable[[], Answer], *successes: int) -> None:
        request = self.ledger.ask(wanted)
        self._accept(send(), *successes)
        self.ledger.settle(request)

    def _accept(self, answer: Answer, *successes: int) -> Answer:
        if answer.status in successes:
            return answer
        if answer.is_refusal():
            self.refused += 1
            raise Refused(answer)
        self.wrong.append(f"{self.name} got {answer}")
        raise Refused(answer)

    def _content(self, largest: int = 60_000) -> bytes:
        self._count += 1
        if self._random.random() < 0.2:  # the same for all writers, at about the same time
            return content(("common", self._count // 10), 5000)
        return content((self._seed, self._count), self._random.randint(0, largest))

    def _blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        wanted = {("blob", repository, digest): digest}
        path = f"/v2/{repository}/blobs/uploads/"
        way = self._random.randrange(3)
        if way == 0:
            self._change(wanted, lambda: self._client.post(f"{path}?digest={digest}", data), 201)
            return digest
        location = self._accept(self._client.post(path), 202).headers["location"]
        if way == 1:
            self._change(wanted, lambda: self._client.finish(location, digest, data), 201)
            return digest
        session = Session(repository, location, data)
        self.ledger.sessions.append(session)
        while session.acknowledged < len(data):
            self._chunk(session)
        self._finish(session)
        return digest

    def _chunk(self, session: Session) -> None:
        start = session.acknowledged
        piece = session.data[start : start + self._random.randint(1, len(session.data))]
        session.sent = start + len(piece)
        self._accept(self._client.patch(session.path, start, piece), 202)
        session.acknowledged = session.sent

    def _finish(self, session: Session) -> None:
        digest = digest_of(session.data)
        wanted = {("blob", session.repository, digest): digest}
        # Without an answer it may be finished, or have lost its file; it says 404 then, and is pushed anew.
        self.ledger.sessions.remove(session)
        self._change(wanted, lambda: self._client.finish(session.path, digest), 201)

    def _push_blob(self) -> None:
        self._blob(self._repository, self._content(400_000))

    def _push_image(self) -> None:
        repository = self._repository
        blobs = [self._content() for _ in range(self._random.randint(1, 3))]
        for blob in blobs:
            self._blob(f"{repository}/images", blob)
        manifest = image(blobs[0], blobs[1:], f"{self._seed} {self._count}")
        self._manifest(f"{repository}/images", manifest)

    def _manifest(self, repository: str, manifest: Manifest) -> None:
        digest = manifest.digest
        tags = [f"t{self._random.randrange(6)}" for _ in range(self._random.randrange(3))]
        wanted: dict[Key, str | None] = {("manifest", repository, digest): digest}
        wanted |= {("tag", repository, tag): digest for tag in tags}
        if len(tags) == 1:
            self._change(wanted, lambda: self._client.put_manifest(repository, tags[0], manifest), 201)
            return
        query = "?" + "&".join(f"tag={tag}" for tag in dict.fromkeys(tags))
        self._change(
            wanted, lambda: self._client.put_manifest(repository, digest, manifest, query if tags else ""), 201
        )

    def _push_index(self) -> None:
        """An index in a repository where nothing is deleted, of images that come with it."""
        repository = f"{self._repository}/indexes"
        blobs = [self._content(3000), self._content(3000)]
        for blob in blobs:
            self._blob(repository, blob)
        children = [image(blobs[0], [blobs[1]], f"{self._seed} {self._count} {number}") for number in range(2)]
        for child in children:
            wanted: dict[Key, str | None] = {("manifest", repository, child.digest): child.digest}
            self._change(wanted, lambda child=child: self._client.put_manifest(repository, child.digest, child), 201)  # type: ignore[misc]
        self._manifest(repository, index(children, f"{self._seed} {self._count}"))

    def _mount(self) -> None:
        known = self.ledger.known("blob", self._repository)
        if known:
            digest = self._random.choice(known)
            target = f"{self._repository}/mounted"
            path = f"/v2/{target}/blobs/uploads/?mount={digest}&from={self._repository}"
            self._change({("blob", target, digest): digest}, lambda: self._client.post(path), 201)

    def _delete_manifest(self) -> None:
        repository = f"{self._repository}/images"
        known = self.ledger.known("manifest", repository)
        if not known:
            return
        digest = self._random.choice(known)
        tagged = {
            key for key, values in self.ledger.facts.items() if key[:2] == ("tag", repository) and digest in values
        }
        if any(len(self.ledger.facts[key]) > 1 for key in tagged):
            return
        wanted: dict[Key, str | None] = dict.fromkeys([("manifest", repository, digest), *tagged])
        self._change(wanted, lambda: self._client.delete(f"/v2/{repository}/manifests/{digest}"), 202)

    def _delete_tag(self) -> None:
        repository = f"{self._repository}/images"
        known = self.ledger.known("tag", repository)
        if known:
            tag = self._random.choice(known)
            wanted: dict[Key, str | None] = {("tag", repository, tag): None}
            self._change(wanted, lambda: self._client.delete(f"/v2/{repository}/manifests/{tag}"), 202)

    def _delete_blob(self) -> None:
        """One that no manifest names."""
        known = self.ledger.known("blob", self._repository)
        if known:
            digest = self._random.choice(known)
            wanted: dict[Key, str | None] = {("blob", self._repository, digest): None}
            self._change(wanted, lambda: self._client.delete(f"/v2/{self._repository}/blobs/{digest}"), 202)

    def _leave_session(self) -> None:
        location = self._accept(self._client.post(f"/v2/{self._repository}/blobs/uploads/"), 202).headers["location"]
        session = Session(self._repository, location, self._content())
        self.ledger.sessions.append(session)
        if session.data:
            self._chunk(session)

    def _resume_session(self) -> None:
        waiting = [session for session in self.ledger.sessions if session.sent == session.acknowledged]
        if waiting:
            session = self._random.choice(waiting)
            if session.acknowledged < len(session.data):
                self._chunk(session)
            else:
                self._finish(session)


class Auditor:
    """Compares a ledger with what a server shows, and makes what was uncertain certain.

    Args:
        client: to ask.
        ledger: of a writer that does not run.
    """

    def __init__(self, client: Client, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger
        self.wrong: list[str] = []

    def audit(self) -> list[str]:
        """All contradictions."""
        seen = {key: self._see(key) for key in self._ledger.facts}
        for key, values in self._ledger.facts.items():
            if seen[key] not in values:
                self.wrong.append(f"{key} is {seen[key]}, possible is {values}")
        for request in self._ledger.unanswered:
            self._check_whole(request, seen)
        self._ledger.unanswered = []
        self._ledger.facts = {key: {value} for key, value in seen.items()}
        for session in self._ledger.sessions:
            self._check_session(session)
        self._ledger.sessions = []
        return self.wrong

    def _see(self, key: Key) -> str | None:
        kind, repository, name = key
        data = self._client.blob(repository, name) if kind == "blob" else self._client.manifest(repository, name)
        return None if data is None else digest_of(data)

    def _check_whole(self, request: Request, seen: dict[Key, str | None]) -> None:
        changed = [key for key in request.wanted if request.wanted[key] != request.before[key]]
        done = {seen[key] == request.wanted[key] for key in changed}
        if len(done) > 1:
            self.wrong.append(f"half done: {[(key, seen[key]) for key in changed]}, wanted {request.wanted}")

    def _check_session(self, session: Session) -> None:
        size = self._client.session_size(session.path)
        if size is None or not session.acknowledged <= size <= session.sent:
            self.wrong.append(f"{session.path} is at {size}, acknowledged {session.acknowledged}, sent {session.sent}")
            return
        digest = digest_of(session.data)
        answer = self._client.finish(session.path, digest, session.data[size:])
        if answer.status != 201 or self._client.blob(session.repository, digest) != session.data:
            self.wrong.append(f"{session.path} cannot be finished: {answer}")
        self._ledger.facts["blob", session.repository, digest] = {digest}
