"""Mounting: only from where it is linked; and the refusal never says why."""

from __future__ import annotations

import pytest

from moorage.core.access import Identity
from moorage.core.digest import digest_of
from moorage.core.errors import BlobUnknown, Denied, ReadOnly
from moorage.metadata.tables import repositories
from moorage.registry.sight import OpenSight
from moorage.testing.streams import read_all
from tests.support.registry import ALICE, Registry

DATA = b"layer"
DIGEST = digest_of(DATA)


async def test_from_a_repository_that_has_it(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    assert await registry.mount.blob("to/there", DIGEST, "from/here", ALICE)
    blob = await registry.pull.blob("to/there", DIGEST)
    assert await read_all(await registry.pull.source(blob, 0, blob.size)) == DATA


async def test_from_anywhere(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    assert await registry.mount.blob("to/there", DIGEST, None, ALICE)
    await registry.pull.blob("to/there", DIGEST)


async def test_from_where_somebody_gets_to_see_it(registry: Registry) -> None:
    class NoSight(OpenSight):
        async def source(self, identity: Identity, digest: str) -> str | None:
            return None

    await registry.push_blob("from/here", DATA)
    blind = Registry(registry.database, registry.store, sight=NoSight(registry.database))
    assert not await blind.mount.blob("to/there", DIGEST, None, ALICE)
    assert await blind.mount.blob("to/there", DIGEST, "from/here", ALICE)


@pytest.mark.parametrize("source", ["from/other", "from/none", "to/there", None])
async def test_what_cannot_be_mounted_is_uploaded(registry: Registry, source: str | None) -> None:
    """Not linked there, no such repository, not in the target itself, nowhere: all look the same and leave nothing."""
    if source is not None:
        await registry.push_blob("from/here", DATA)
    await registry.push_blob("from/other", b"something else")
    made = await registry.count(repositories)
    assert not await registry.mount.blob("to/there", DIGEST, source, ALICE)
    with pytest.raises(BlobUnknown):
        await registry.pull.blob("to/there", DIGEST)
    assert await registry.count(repositories) == made


async def test_deleted_from_its_source_it_cannot_be_mounted(registry: Registry) -> None:
    """Though its bytes are still on the disk."""
    await registry.push_blob("from/here", DATA)
    await registry.delete.blob("from/here", DIGEST, ALICE)
    for source in ("from/here", None):
        assert not await registry.mount.blob("to/there", DIGEST, source, ALICE)


async def test_a_mount_outlives_its_source(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    await registry.mount.blob("to/there", DIGEST, "from/here", ALICE)
    await registry.delete.blob("from/here", DIGEST, ALICE)
    await registry.pull.blob("to/there", DIGEST)


async def test_into_itself(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    assert await registry.mount.blob("from/here", DIGEST, "from/here", ALICE)


async def test_the_event_names_the_source(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    await registry.mount.blob("to/there", DIGEST, "from/here", ALICE)
    (event,) = await registry.told("to/there")
    assert (event["action"], event["digest"], event["size"]) == ("mount", DIGEST, 5)
    assert (event["source"], event["actor"]) == ("from/here", "alice")


async def test_the_operators_switches(registry: Registry) -> None:
    await registry.push_blob("from/here", DATA)
    with pytest.raises(ReadOnly):
        await registry.having(readonly=True).mount.blob("to/there", DIGEST, "from/here", ALICE)
    with pytest.raises(Denied):
        await registry.having(repository_allow=("^from/",)).mount.blob("to/there", DIGEST, "from/here", ALICE)
