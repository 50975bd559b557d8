"""Tests over the rows of the configuration's table, a section at a time: a test for each row would take longer to
collect than to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from moorage.config.keys import Key


def over(rows: Iterable[Key]) -> Callable[[Callable[[Key], None]], Callable[[str], None]]:
    """Run a test of one row over all of `rows`; a failure names the row."""
    sections: dict[str, list[Key]] = {}
    for key in rows:
        sections.setdefault(key.path.partition(".")[0], []).append(key)

    def decorate(test: Callable[[Key], None]) -> Callable[[str], None]:
        @pytest.mark.parametrize("section", sections)
        def over_a_section(section: str) -> None:
            for key in sections[section]:
                try:
                    test(key)
                except Exception as error:
                    error.add_note(f"the row is {key.path}")
                    raise

        over_a_section.__name__ = test.__name__
        return over_a_section

    return decorate
