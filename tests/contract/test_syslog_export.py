"""The audit log at a collector of syslog messages: over real TCP and TLS, through breaks, by one of several workers."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from moorage.accounts.audit_log import as_json
from moorage.accounts.audit_seal import remove_old_entries, seal_entries
from moorage.accounts.settings import SyslogSettings
from moorage.core.access import Caller, Identity
from moorage.core.audit import OK, REFUSED, AuditEntry
from moorage.metadata.audit import record
from moorage.metadata.audit_chain import Mark, Row, chained, link, marked
from moorage.metadata.database import Database
from moorage.testing.fakes import NOON, HeldClock
from moorage.upkeep import syslog_export
from moorage.upkeep.syslog_export import LEASE_SECONDS, NAME, SETTLE_SECONDS, SyslogExport, message
from tests.conformance.server import Certificates, make_certificates
from tests.support.facts import Facts, SqliteTemplate
from tests.support.postgres import PostgresCluster

ALICE = Caller(Identity("alice", "user", 7, credential="password"), address="192.0.2.1", request_id="r-1")
FORM = re.compile(
    rb'<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|\[audit@12345 sequence="(\d+)" hash="([0-9a-f]{64})"\]) (\{.*\})',
    re.DOTALL,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database for one test alone: the chain is one for all."""
    if request.param == "sqlite":
        template: SqliteTemplate = request.getfixturevalue("sqlite_template")
        yield template.copy_to(tmp_path_factory.mktemp("facts") / "moorage.db")
        return

    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    with cluster.database(migrated=True) as url:
        yield url


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def make(facts: Facts, clock: HeldClock) -> Iterator[Callable[..., SyslogExport]]:
    """Makes exporters that are closed at the end."""
    with ExitStack() as stack:

        def make(settings: SyslogSettings, database: Database | None = None, hostname: str = "h") -> SyslogExport:
            export = SyslogExport(database or facts.database, clock, settings, hostname)
            stack.callback(export.close)
            return export

        yield make


Make = Callable[..., SyslogExport]


class Collector:
    """Takes messages with octet counting; stops reading, or cuts the connection, where told to."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.cut_after: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append(await reader.readexactly(length))
                if self.cut_after is not None and len(self.messages) >= self.cut_after:
                    self.cut_after = None
                    writer.transport.abort()
                    return
        writer.close()

    @property
    def sequences(self) -> list[int]:
        return [int(orjson.loads(parsed(text)[8])["sequence"]) for text in self.messages]


def parsed(text: bytes) -> tuple[bytes, ...]:
    match = FORM.fullmatch(text)
    assert match is not None, text
    return match.groups()


@asynccontextmanager
async def collecting(
    context: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[Collector]:
    collector = Collector()
    server = await asyncio.start_server(collector.serve, host, port, ssl=context)
    collector.port = server.sockets[0].getsockname()[1]
    try:
        yield collector
    finally:
        server.close()


async def write(facts: Facts, clock: HeldClock, count: int, text: str = "team/app") -> list[Row]:
    """More sealed entries; all there are."""

    def some(connection: object) -> None:
        for number in range(count):
            outcome = (OK, REFUSED)[number % 2]
            entry = AuditEntry("tag.delete", outcome, ALICE, "repository", text, detail={"word": 'mü"]\\\n'})
            record(connection, entry, NOON + number + 0.25)  # type: ignore[arg-type]

    await facts.write(some)
    await seal_entries(facts.database, clock)
    return await facts.read(chained, 0, 10_000)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_messages_are_as_the_standard_says(facts: Facts, clock: HeldClock, make: Make) -> None:
    rows = await write(facts, clock, 450)
    async with collecting() as collector:
        settings = SyslogSettings("127.0.0.1", collector.port, facility=19, appname="images", enterprise=12345)
        export = make(settings, hostname="host.example.com")
        assert await export.turn() == 450
        await until(lambda: len(collector.messages) == 450)
        assert await export.turn() == 0
        assert await facts.read(marked, NAME) is None
        clock.advance(SETTLE_SECONDS)
        assert await export.turn() == 0
        assert await facts.read(marked, NAME) == Mark(450, rows[-1].hash or "")
        assert collector.connections == 1
    previous = "0" * 64
    for row, text in zip(rows, collector.messages, strict=True):
        priority, _moment, host, app, process, kind, sequence, digest, body = parsed(text)
        assert int(priority) == 19 * 8 + (6 if row.outcome == OK else 4)
        assert (host, app, process, kind) == (b"host.example.com", b"images", b"-", b"tag.delete")
        assert (int(sequence), digest.decode()) == (row.sequence, row.hash)
        assert orjson.loads(body) == as_json(row)
        assert text.isascii()
        assert b"\n" not in text
        # Whoever has the messages can check the chain without us.
        previous = link(previous, row)
        assert digest.decode() == previous
    assert parsed(collector.messages[0])[1] == b"2023-11-14T22:13:20.250000Z"


async def test_over_tls_with_certificates_on_both_sides(
    facts: Facts, clock: HeldClock, certificates: Certificates, make: Make
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.ca))
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.verify_mode = ssl.CERT_REQUIRED
    await write(facts, clock, 3)
    async with collecting(context) as collector:
        plain = SyslogSettings("localhost", collector.port)
        trusting = replace(plain, tls=True, ca=Path(certificates.ca))
        with pytest.raises(OSError, match=r"(?i)certificate"):
            await make(replace(plain, tls=True)).turn()
        clock.advance(LEASE_SECONDS)
        own = replace(trusting, certificate=Path(certificates.certificate), key=Path(certificates.key))
        export = make(own)
        assert await export.turn() == 3
        await until(lambda: collector.sequences == [1, 2, 3])


async def test_a_collector_with_another_name_is_not_trusted(
    facts: Facts, clock: HeldClock, certificates: Certificates, make: Make
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    await write(facts, clock, 1)
    async with collecting(context, host="127.0.0.2") as collector:
        settings = SyslogSettings("127.0.0.2", collector.port, tls=True, ca=Path(certificates.ca))
        with pytest.raises(ssl.SSLCertVerificationError):
            await make(settings).turn()
        assert collector.messages == []


async def test_what_the_collector_did_not_take_is_sent_again(
    facts: Facts, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    monkeypatch.setattr(syslog_export, "STEP", 10)
    await write(facts, clock, 100, "team/" + "long" * 300)
    async with collecting() as collector:
        export = make(SyslogSettings("127.0.0.1", collector.port))
        for cut in (3, 25, 71):
            collector.cut_after = cut
            for _ in range(5):
                with suppress(OSError):
                    await export.turn()
                await asyncio.sleep(0.02)
                clock.advance(1)
        await until(lambda: collector.sequences[-1] == 100)
    assert sorted(set(collector.sequences)) == list(range(1, 101))
    # Again means again from a place before: none is passed over at any time.
    reached = 0
    for sequence in collector.sequences:
        assert sequence <= reached + 1
        reached = max(reached, sequence)


async def test_a_collector_that_is_down_holds_up_nothing(
    facts: Facts, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    monkeypatch.setattr(syslog_export, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(syslog_export, "PAUSE_SECONDS", 0.02)
    async with collecting() as before:
        port = before.port
    await write(facts, clock, 5)
    task = asyncio.create_task(make(SyslogSettings("127.0.0.1", port)).run())
    try:
        await asyncio.sleep(0.1)
        assert await facts.read(marked, NAME) is None
        async with collecting(port=port) as collector:
            await until(lambda: collector.sequences == [1, 2, 3, 4, 5])
            await write(facts, clock, 2)
            await until(lambda: collector.sequences == [1, 2, 3, 4, 5, 6, 7])
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_collector_that_takes_nothing_is_given_up(
    facts: Facts, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    monkeypatch.setattr(syslog_export, "WAIT_SECONDS", 0.3)
    await write(facts, clock, 200, "team/" + "long" * 20_000)

    done, ended = asyncio.Event(), asyncio.Event()

    async def sleep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()
        ended.set()

    server = await asyncio.start_server(sleep, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TimeoutError):
        await make(SyslogSettings("127.0.0.1", port)).turn()
    done.set()
    await ended.wait()
    server.close()
    assert await facts.read(marked, NAME) is None


async def test_of_several_workers_one_sends(facts: Facts, elsewhere: Database, clock: HeldClock, make: Make) -> None:
    await write(facts, clock, 3)
    async with collecting() as collector:
        settings = SyslogSettings("127.0.0.1", collector.port)
        one, other = make(settings), make(settings, elsewhere)
        assert (await one.turn(), await other.turn()) == (3, 0)
        clock.advance(LEASE_SECONDS * 0.8)
        await write(facts, clock, 1)
        assert (await other.turn(), await one.turn()) == (0, 1)  # the lease was prolonged
        clock.advance(LEASE_SECONDS * 0.8)
        assert (await other.turn(), await one.turn()) == (0, 0)  # all is settled now
        await write(facts, clock, 1)
        assert await other.turn() == 0
        clock.advance(LEASE_SECONDS)  # the first one crashed
        assert (await other.turn(), await one.turn()) == (1, 0)
        await until(lambda: collector.sequences == [1, 2, 3, 4, 5])


async def test_what_retention_took_is_passed_over(facts: Facts, clock: HeldClock, make: Make) -> None:
    await write(facts, clock, 20)
    async with collecting() as collector:
        export = make(SyslogSettings("127.0.0.1", collector.port))
        clock.advance(10)
        await remove_old_entries(facts.database, clock, 0)
        await export.turn()
        await until(lambda: collector.sequences == list(range(11, 21)))


async def test_a_message_is_ascii_whatever_stands_in_it(facts: Facts, clock: HeldClock) -> None:
    (row,) = await write(facts, clock, 1)
    strange = row._replace(actor="mü\u202e", action="täg delete" * 9)
    fields = message(strange, SyslogSettings("x", 1, appname="a b"), "hö st").split(b" ")
    assert fields[2] == b"h??st"
    assert fields[3] == b"a?b"
    assert len(fields[5]) == 32
    assert orjson.loads(parsed(message(strange, SyslogSettings("x", 1), "h"))[8])["actor"] == "mü\u202e"


async def test_without_a_number_of_the_operators_there_is_no_structured_data(facts: Facts, clock: HeldClock) -> None:
    (row,) = await write(facts, clock, 1)
    fields = message(row, SyslogSettings("x", 1), "h").split(b" ", 7)
    assert fields[6] == b"-"
    assert orjson.loads(fields[7])["hash"] == row.hash
    assert b"32473" not in message(row, SyslogSettings("x", 1), "h").partition(b" {")[0]
