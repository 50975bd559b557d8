"""What clients may put into paths and queries is harmless on both databases: an answer, never an error of ours."""

from __future__ import annotations

import pytest

from moorage.core.errors import UploadUnknown
from moorage.metadata.database import Database
from moorage.testing.random_images import RandomImages
from tests.support.registry import ALICE, Registry

TEXTS = ["\0", "a\0b", "\ud800", "v1\ud800", "\x7f", "\U0010ffff", "'", "\\", "%00", "x" * 100_000, "\n"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:10]))
async def test_any_text_to_go_on_after(database: Database, name: str, text: str) -> None:
    """`last` may be anything that UTF-8 can write; it is compared byte by byte like a name that exists."""
    registry = Registry(database, settings=None).having(sparse=True)
    image = RandomImages(1).artifact()
    for tag in ("A", "a", "ab", "v1", "v10", "zz"):
        await registry.push_manifest(name, image, tag)
    after = text.replace("\ud800", "\ufffd")  # the door refuses what is no UTF-8
    expected = [tag for tag in ("A", "a", "ab", "v1", "v10", "zz") if tag.encode() > after.encode()]
    assert (await registry.listing.tags(name, None, after)).names == expected
    assert (await registry.listing.repositories(3, after, ALICE)).names is not None


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:10]))
async def test_any_text_as_a_session(database: Database, name: str, text: str) -> None:
    with pytest.raises(UploadUnknown):
        await Registry(database).uploads.status(name, text)


async def test_any_text_as_a_type_of_artifact(database: Database, name: str) -> None:
    registry = Registry(database).having(sparse=True)
    subject = RandomImages(1).image().manifest
    await registry.push_manifest(name, RandomImages(2).artifact("type/a", subject), "x")
    for text in TEXTS:
        if "\ud800" not in text:
            page = await registry.referrers.of(name, subject.digest, (text,), None, 0)
            assert page.descriptors == []
            page = await registry.referrers.of(name, subject.digest, (text, "type/a"), None, 0)
            assert len(page.descriptors) == 1
