"""The power is cut after every single call of the disk; whatever was answered before is there when it is back."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Awaitable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from moorage.blobs.disk import is_settled_by_sync
from moorage.blobs.layout import blob_location
from moorage.core.digest import Digest
from moorage.telemetry.probe import no_probe
from tests.crash.checker import check, sqlite_facts
from tests.crash.client import Answer, content, digest_of, image
from tests.crash.disk import Call, Disk, Recorder
from tests.crash.inside import Inside, running
from tests.crash.plan import Action, Armed, Plan

Claims = dict[tuple[str, str, str], str | None]
"""(kind, repository, name) -> digest, or None for "gone"."""

RANDOM_LOSSES = 4


@dataclass
class Script:
    """Requests in order, and marks in the recording for when each was asked and answered."""

    inside: Inside
    sessions: list[str] = field(default_factory=list)

    async def step(self, claims: Claims, request: Awaitable[Answer], *successes: int) -> Answer:
        """One request; when it is answered as hoped for, its claims hold."""
        calls = self.inside.calls
        calls.append(Call("asked", value=claims))
        answer = await request
        assert answer.status in successes, answer
        calls.append(Call("answered", value=claims))
        return answer

    async def blob(self, repository: str, data: bytes, way: str) -> None:
        """A blob, in one of the ways of clients."""
        digest = digest_of(data)
        claims: Claims = {("blob", repository, digest): digest}
        path = f"/v2/{repository}/blobs/uploads/"
        ask = self.inside.request
        if way == "post":
            await self.step(claims, ask("POST", f"{path}?digest={digest}", data), 201)
            return
        location = (await self.step({}, ask("POST", path), 202)).headers["location"]
        self.sessions.append(location)
        if way == "put":
            await self.step(claims, ask("PUT", f"{location}?digest={digest}", data), 201)
            return
        middle = len(data) // 2
        for start, stop in ((0, middle), (middle, len(data))):
            span = f"{start}-{stop - 1}"
            await self.step({}, ask("PATCH", location, data[start:stop], content_range=span), 202)
        await self.step(claims, ask("PUT", f"{location}?digest={digest}"), 201)


async def everything(inside: Inside) -> None:
    """Every kind of change once or twice."""
    script = Script(inside)
    ask = inside.request
    config, layer, large = content("config", 300), content("layer", 5000), content("large", 1_200_000)
    for data, way in ((config, "post"), (layer, "patch"), (large, "put")):
        await script.blob("loss/a", data, way)
    await script.blob("loss/b", layer, "put")  # known already
    digest = digest_of(config)
    mount = ask("POST", f"/v2/loss/c/blobs/uploads/?mount={digest}&from=loss/a")
    await script.step({("blob", "loss/c", digest): digest}, mount, 201)
    for note in ("one", "two"):
        manifest = image(config, [layer], note)
        put = ask("PUT", "/v2/loss/a/manifests/t", manifest.payload, content_type=manifest.media_type)
        claims: Claims = {
            ("tag", "loss/a", "t"): manifest.digest,
            ("manifest", "loss/a", manifest.digest): manifest.digest,
        }
        await script.step(claims, put, 201)
    await script.step({("tag", "loss/a", "t"): None}, ask("DELETE", "/v2/loss/a/manifests/t"), 202)
    gone: Claims = {("manifest", "loss/a", manifest.digest): None}
    await script.step(gone, ask("DELETE", f"/v2/loss/a/manifests/{manifest.digest}"), 202)
    known = digest_of(layer)
    await script.step({("blob", "loss/b", known): None}, ask("DELETE", f"/v2/loss/b/blobs/{known}"), 202)
    location = (await script.step({}, ask("POST", "/v2/loss/a/blobs/uploads/"), 202)).headers["location"]
    await script.step({}, ask("PATCH", location, layer, content_range="0-4999"), 202)
    await script.step({}, ask("DELETE", location), 204)
    await script.blob("loss/b", layer, "post")


@dataclass
class State:
    """What may be found after a loss: files, and one of the commits since the last durable one."""

    files: dict[Path, bytes]
    databases: list[bytes]
    certain: Claims
    open: set[tuple[str, str, str]]

    def write(self, folder: Path, root: Path, database: bytes) -> None:
        """Put it on a real disk."""
        (folder / "uploads").mkdir(parents=True)
        (folder / "moorage.db").write_bytes(database)
        for path, data in self.files.items():
            target = folder / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def broken(self, folder: Path) -> list[str]:
        """What contradicts the answers or the invariants in a folder written by `write`."""
        facts = sqlite_facts(folder / "moorage.db")
        problems = check(folder, facts, power_was_lost=True)
        names = {row["id"]: row["name"] for row in facts["repositories"]}
        digests = {row["id"]: row["digest"] for row in facts["manifests"]}
        seen: Claims = {}
        for row in facts["blob_links"]:
            seen["blob", names[row["repository_id"]], row["digest"]] = row["digest"]
        for row in facts["manifests"]:
            seen["manifest", names[row["repository_id"]], row["digest"]] = row["digest"]
        for row in facts["tags"]:
            seen["tag", names[row["repository_id"]], row["name"]] = digests[row["manifest_id"]]
        problems += [
            f"{key} is {seen.get(key)}, {value} was answered"
            for key, value in self.certain.items()
            if key not in self.open and seen.get(key) != value
        ]
        return problems


def losses(root: Path, calls: list[Call], seed: int) -> list[tuple[int, State]]:
    """For every number of calls made: the states that a loss may leave, each with how many calls that was."""
    disk = Disk(root)
    databases: list[bytes] = []
    certain: Claims = {}
    asked: set[tuple[str, str, str]] = set()
    found: list[tuple[int, State]] = []
    for number, call in enumerate(calls):
        if call.what == "commit":
            databases = [*databases, call.data]
        elif call.what == "log-sync":
            databases = databases[-1:]
        elif call.what == "asked":
            assert isinstance(call.value, dict)
            asked = set(call.value)
        elif call.what == "answered":
            assert isinstance(call.value, dict)
            certain = {**certain, **call.value}
            asked = set()
        else:
            disk.repeat(call)
        kept = [disk.after_loss(None), disk.after_loss(None, all_entries=True)]
        kept += [disk.after_loss(random.Random(repr((seed, number, turn)))) for turn in range(RANDOM_LOSSES)]
        found += [(number, State(files, databases, certain, set(asked))) for files in _distinct(kept)]
    return found


def _distinct(states: list[dict[Path, bytes]]) -> list[dict[Path, bytes]]:
    return [state for number, state in enumerate(states) if state not in states[:number]]


NEVER, SOON = 3600.0, 0.01
"""Seconds in which small blobs gather for their sync."""


async def recorded(root: Path, monkeypatch: pytest.MonkeyPatch, settle_after: float) -> list[Call]:
    async with running(root, monkeypatch, settle_after=settle_after) as inside:
        await everything(inside)
        if settle_after == SOON and is_settled_by_sync(root):
            async with asyncio.timeout(10):
                while not settled(inside.calls):
                    await asyncio.sleep(0.001)
        return list(inside.calls)


def settled(calls: list[Call]) -> bool:
    """Whether all was synced after the last file got its name, and the bytes were let go of."""
    whats = [call.what for call in calls]
    last = max((place for place, what in enumerate(whats) if what == "link"), default=0)
    return "sync-all" in whats[last:] and "commit" in whats[last + whats[last:].index("sync-all") :]


@pytest.mark.parametrize("settle_after", [NEVER, SOON])
async def test_nothing_that_was_answered_is_lost(
    memory: Path, monkeypatch: pytest.MonkeyPatch, settle_after: float
) -> None:
    root = memory / "root"
    calls = await recorded(root, monkeypatch, settle_after)
    states = losses(root, calls, seed=1)
    assert len(states) > len(calls) > 80
    for turn, (number, state) in enumerate(states):
        for database in {state.databases[0], state.databases[-1]}:
            folder = memory / f"state-{turn}-{hash(database)}"
            state.write(folder, root, database)
            assert state.broken(folder) == [], (number, calls[max(0, number - 5) : number + 1])
            shutil.rmtree(folder)


async def serves(folder: Path, monkeypatch: pytest.MonkeyPatch, certain: Claims, sessions: list[str]) -> None:
    """The registry starts on what a loss left, shows what was answered, and goes on with or refuses old sessions."""
    async with running(folder, monkeypatch) as inside:
        for (kind, repository, name), digest in certain.items():
            place = "blobs" if kind == "blob" else "manifests"
            answer = await inside.request("GET", f"/v2/{repository}/{place}/{name}")
            assert (answer.status, digest_of(answer.body)) == (200, digest) if digest else answer.status == 404, answer
        for session in sessions:
            await resumes(inside, session)


async def resumes(inside: Inside, session: str) -> None:
    """A session says where it stands and goes on there; or it is gone."""
    status = await inside.request("GET", session)
    if status.status == 404:
        return
    held = int(status.headers["range"].partition("-")[2]) + 1
    more = await inside.request("PATCH", session, b"more", content_range=f"{held}-{held + 3}")
    assert more.status == 202, more
    # What it held is not ours to know here; a wrong digest is refused, and nothing becomes visible.
    refused = await inside.request("PUT", f"{session}?digest={digest_of(b'not this')}")
    assert refused.status == 400, refused


async def test_a_graceful_end_leaves_nothing_to_the_next_start(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files alone are then a whole copy of the blobs."""
    root = memory / "root"
    data = content("waits", 300)
    async with running(root, monkeypatch, settle_after=NEVER) as inside:
        await Script(inside).blob("loss/a", data, "post")
    assert check(root) == []
    assert sqlite_facts(root / "moorage.db")["unsynced_blobs"] == []
    assert (root / blob_location(Digest(digest_of(data)))).read_bytes() == data


def sessions_of(calls: list[Call]) -> list[str]:
    """The sessions of which rows were ever written."""
    paths = {call.path.name for call in calls if call.what == "create" and call.path.parent.name == "uploads"}
    return [f"/v2/loss/{name}/blobs/uploads/{key}" for key in sorted(paths) for name in "ab"]


@pytest.mark.parametrize(
    "share",
    [pytest.param(0.03, id="some"), pytest.param(1.0, marks=[pytest.mark.long, pytest.mark.timeout(600)], id="all")],
)
async def test_the_registry_starts_on_what_is_left(memory: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    root = memory / "root"
    calls = await recorded(root, monkeypatch, SOON)
    chance = random.Random(7)
    states = [(number, state) for number, state in losses(root, calls, seed=2) if chance.random() < share]
    assert states
    for turn, (_, state) in enumerate(states):
        folder = memory / f"state-{turn}"
        state.write(folder, root, state.databases[-1])
        certain = {key: value for key, value in state.certain.items() if key not in state.open}
        await serves(folder, monkeypatch, certain, sessions_of(calls))
        assert check(folder, power_was_lost=True) == []
        shutil.rmtree(folder)


async def push_until_taken(script: Script, plan: Plan, nth: int, data: bytes) -> bool:
    """A push whose N-th call fails, again until it is answered 201; False where it had fewer calls."""
    digest = digest_of(data)
    claims: Claims = {("blob", "loss/a", digest): digest}
    plan.arm(Armed(Action.FAIL, nth=nth))
    for _ in range(3):
        script.inside.calls.append(Call("asked", value=claims))
        answer = await script.inside.request("POST", f"/v2/loss/a/blobs/uploads/?digest={digest}", data)
        if answer.status == 201:
            script.inside.calls.append(Call("answered", value=claims))
            break
        assert answer.is_refusal(), answer
    else:
        raise AssertionError("refused three times")
    return plan.disarm()


@pytest.mark.parametrize(("size", "calls_of_it"), [(600, 2), (20_000, 15)], ids=["small", "large"])
async def test_what_a_retry_was_told_is_not_lost_either(
    memory: Path, monkeypatch: pytest.MonkeyPatch, size: int, calls_of_it: int
) -> None:
    """A call failed, the client tried again and was answered: no half of the first attempt is taken for durable."""
    for nth in count(1):
        root = memory / f"root-{nth}"
        plan = Plan(memory / "plan")
        async with running(root, monkeypatch, plan) as inside:
            fired = await push_until_taken(Script(inside), plan, nth, content("retried", size))
            calls = list(inside.calls)
        plan.close()
        if not fired:
            break
        number, state = next(found for found in losses(root, calls, seed=3) if found[0] == len(calls) - 1)
        folder = memory / f"state-{nth}"
        state.write(folder, root, state.databases[0])
        assert state.broken(folder) == [], (nth, number, calls)
    assert nth > calls_of_it


@pytest.mark.parametrize("turn", range(3))
async def test_pushes_at_once_do_not_trust_one_another(
    memory: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """Several first pushes make the same directories; none may answer before those are durable, whoever made them."""
    root = memory / "root"
    blobs = [content(("at once", turn, number), 400) for number in range(6)]
    async with running(root, monkeypatch) as inside:
        script = Script(inside)
        await asyncio.gather(*(script.blob("loss/a", data, "post") for data in blobs))
        calls = list(inside.calls)
    for place, call in enumerate(calls):
        if call.what != "answered":
            continue
        assert isinstance(call.value, dict)
        # The commit of an answer may have been another's too: any commit that has it is durable.
        number, state = next(found for found in losses(root, calls[: place + 1], seed=4) if found[0] == place)
        state.open.clear()
        folder = memory / f"state-{place}"
        state.write(folder, root, state.databases[-1])
        assert state.broken(folder) == [], number


async def test_bytes_of_a_killed_request_are_synced_before_they_are_a_blob(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed after its write and before its sync; the next one seals what the file holds."""
    root = memory / "root"
    first, last = content("first", 20_000), content("killed", 9000)
    data = first + last
    digest = digest_of(data)
    claims: Claims = {("blob", "loss/a", digest): digest}
    async with running(root, monkeypatch) as inside:
        script = Script(inside)
        answer = await script.step({}, inside.request("POST", "/v2/loss/a/blobs/uploads/"), 202)
        session = answer.headers["location"]
        await script.step({}, inside.request("PATCH", session, first), 202)
        killed = Recorder(inside.calls, no_probe)
        descriptor = killed.open(root / "uploads" / session.rpartition("/")[2], os.O_WRONLY | os.O_APPEND)
        killed.write(descriptor, last)
        os.close(descriptor)
        await script.step(claims, inside.request("PUT", f"{session}?digest={digest}"), 201)
        calls = list(inside.calls)
    for turn, (number, state) in enumerate(losses(root, calls, seed=5)):
        folder = memory / f"state-{turn}"
        state.write(folder, root, state.databases[0])
        assert state.broken(folder) == [], (number, calls)
