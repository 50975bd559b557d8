"""How large a piece may be, by how many streams there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moorage.blobs.share import PAGE, Share


@given(st.lists(st.booleans(), max_size=400))
def test_all_together_never_take_more_than_the_budget(comings: list[bool]) -> None:
    share = Share(100 * PAGE, 2 * PAGE, 20 * PAGE)
    streams = 0
    for coming in comings:
        if coming:
            share.enter()
            streams += 1
        elif streams:
            share.leave()
            streams -= 1
        assert 2 * PAGE <= share.size <= 20 * PAGE
        assert share.size % PAGE == 0
        assert share.size * streams <= 100 * PAGE or share.size == 2 * PAGE


def test_when_all_have_left_it_is_as_it_was() -> None:
    share = Share(100 * PAGE, PAGE, 20 * PAGE)
    for _ in range(50):
        share.enter()
    assert share.size == 2 * PAGE
    for _ in range(50):
        share.leave()
    assert share.size == 20 * PAGE
