"""Lists page by page: the union of all pages is what is there, whatever the names and the size of a page."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from moorage.core.errors import NameUnknown
from moorage.metadata.manifests import NewManifest, add_manifest
from moorage.metadata.repositories import ensure_repository
from moorage.metadata.tables import repositories, tags
from moorage.metadata.tags import point_tag
from moorage.registry.listing import Page
from tests.support.registry import ALICE, Registry

NAME = "library/app"
SIZES = [1, 2, 3, 4, 5, 6, 7, 1000, None]

# Names that are beginnings of one another: "0.1.2" and "0.1.20", "math" and "math-voila" went missing elsewhere.
TAGS = st.sets(st.text(alphabet="aB01.-_", min_size=1, max_size=5).filter(lambda tag: tag[0] not in ".-"), max_size=30)
NAMES = st.sets(
    st.from_regex(r"\A[ab0]{1,2}((\.|_|-|/)[ab0]{1,2}){0,3}\Z").filter(lambda name: len(name) < 20),
    min_size=1,
    max_size=30,
)
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


async def set_tags(registry: Registry, names: set[str], name: str = NAME) -> None:
    """Make the repository have exactly these tags."""

    def change(connection: Connection) -> None:
        repository = ensure_repository(connection, name, 1.0)
        new = NewManifest("sha256:x", "a/b", "", None, None, b"x", ())
        key = add_manifest(connection, repository, new, "", 1.0)
        connection.execute(tags.delete().where(tags.c.repository_id == repository))
        for tag in random.Random(len(names)).sample(sorted(names), len(names)):
            point_tag(connection, repository, tag, key, 1.0)

    await registry.database.write(change)


async def set_repositories(registry: Registry, names: set[str]) -> None:
    def change(connection: Connection) -> None:
        connection.execute(repositories.delete())
        for name in random.Random(len(names)).sample(sorted(names), len(names)):
            ensure_repository(connection, name, 1.0)

    await registry.database.write(change)


def check(page: Page, size: int | None) -> None:
    """What holds of every page."""
    assert page.names == sorted(set(page.names), key=str.encode)
    if size is not None:
        assert len(page.names) <= size
        assert len(page.names) == size or not page.more
    assert page.names or not page.more, "an empty page has nothing to go on after"


async def all_pages(turn: Callable[[int | None, str], Awaitable[Page]], size: int | None) -> list[str]:
    found: list[str] = []
    while True:
        page = await turn(size, found[-1] if found else "")
        check(page, size)
        found += page.names
        if not page.more:
            return found


@given(TAGS)
@REUSED
async def test_the_pages_of_tags_are_all_tags(registry: Registry, names: set[str]) -> None:
    await set_tags(registry, names)
    for size in SIZES:
        found = await all_pages(lambda size, after: registry.listing.tags(NAME, size, after), size)
        assert found == sorted(names, key=str.encode)


@given(NAMES)
@REUSED
async def test_the_pages_of_repositories_are_all_repositories(registry: Registry, names: set[str]) -> None:
    await set_repositories(registry, names)
    for size in SIZES:
        found = await all_pages(lambda size, after: registry.listing.repositories(size, after, ALICE), size)
        assert found == sorted(names, key=str.encode)


@given(TAGS, TAGS, st.sampled_from(SIZES[:-1]), st.randoms(use_true_random=False))
@REUSED
async def test_what_comes_meanwhile_hides_nothing_that_was_there(
    registry: Registry, old: set[str], new: set[str], size: int, chance: random.Random
) -> None:
    """Tags are pushed between the pages: every old one is listed once, a new one at most once."""
    await set_tags(registry, old)
    coming: Iterator[str] = iter(chance.sample(sorted(new), len(new)))
    present = set(old)
    found: list[str] = []
    while True:
        page = await registry.listing.tags(NAME, size, found[-1] if found else "")
        found += page.names
        if not page.more:
            break
        present |= {tag for tag in (next(coming, None), next(coming, None)) if tag is not None}
        await set_tags(registry, present)
    assert set(old) <= set(found) <= old | new
    assert len(found) == len(set(found))


@given(TAGS, st.text(alphabet="aB01.-_~ ", max_size=4))
@REUSED
async def test_any_text_to_go_on_after(registry: Registry, names: set[str], after: str) -> None:
    """It need not be a tag: what is greater comes."""
    await set_tags(registry, names)
    page = await registry.listing.tags(NAME, None, after)
    assert page.names == [tag for tag in sorted(names, key=str.encode) if tag.encode() > after.encode()]


async def test_none_at_all(registry: Registry) -> None:
    assert await registry.listing.repositories(None, "", ALICE) == Page([], more=False)
    await set_tags(registry, set())
    assert await registry.listing.tags(NAME, None, "") == Page([], more=False)


async def test_no_tags_wanted(registry: Registry) -> None:
    """`n=0` is an empty list without a Link, not an error and not everything."""
    await set_tags(registry, {"a", "b"})
    assert await registry.listing.tags(NAME, 0, "") == Page([], more=False)
    assert await registry.listing.repositories(0, "", ALICE) == Page([], more=False)


@pytest.mark.parametrize("wanted", [None, 4, 5, 1000, 10**9, 10**18])
async def test_a_page_is_never_longer_than_the_operator_allows(registry: Registry, wanted: int | None) -> None:
    """CVE-2023-2253: asking for 10**9 costs a page."""
    bounded = registry.having(tags_page=4, catalog_page=3)
    await set_tags(bounded, set("abcdef"))
    assert await bounded.listing.tags(NAME, wanted, "") == Page(["a", "b", "c", "d"], more=True)
    await set_repositories(bounded, set("abcdef"))
    assert await bounded.listing.repositories(wanted, "", ALICE) == Page(["a", "b", "c"], more=True)


async def test_a_page_that_ends_with_the_list_says_so(registry: Registry) -> None:
    await set_tags(registry, {"a", "b"})
    assert await registry.listing.tags(NAME, 2, "") == Page(["a", "b"], more=False)
    assert await registry.listing.tags(NAME, 1, "a") == Page(["b"], more=False)
    assert await registry.listing.tags(NAME, 1, "b") == Page([], more=False)


@pytest.mark.parametrize("wanted", [None, 0, 5])
async def test_tags_of_no_repository(registry: Registry, wanted: int | None) -> None:
    with pytest.raises(NameUnknown):
        await registry.listing.tags("library/none", wanted, "")


async def test_tags_of_one_repository_only(registry: Registry) -> None:
    await set_tags(registry, {"a"})
    await set_tags(registry, {"b"}, "library/app2")
    assert (await registry.listing.tags(NAME, None, "")).names == ["a"]
