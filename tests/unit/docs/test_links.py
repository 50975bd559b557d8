"""Documents point to what is there, every page can be found from the index, and lines have a width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import check_docs
from tests.unit.docs.documents import DOCS, ROOT

LINK = re.compile(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
WIDTH = 120
_FENCE = re.compile(r"^\s*```")

# Generated, or older than the rule.
_WIDE = {DOCS / name for name in ("reference/configuration.md", "explanation/benchmarks.md")}
_WIDE.add(DOCS / "adr" / "0001-rooms-and-import-direction.md")
_NARROW = [page for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if page not in _WIDE]


def linked_from(page: Path) -> set[Path]:
    """The pages that a page links to."""
    targets = (link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link)
    return {(page.parent / target).resolve() for target in targets}


def test_links_and_make_targets_resolve(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_docs.main(ROOT) == 0, capsys.readouterr().err


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.exists():
            seen.add(page)
            waiting += linked_from(page)
    hidden = {page for page in DOCS.rglob("*.md") if page not in seen and page.parent != DOCS / "adr"}
    assert not hidden


def test_the_readme_shows_where_the_numbers_go() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 0 < readme.index("<!-- bench:begin -->") < readme.index("<!-- bench:end -->")
    assert "`make bench`" in readme


@pytest.mark.parametrize("page", _NARROW, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_text_is_not_wider_than_the_code(page: Path) -> None:
    wide, fenced = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= bool(_FENCE.match(line))
        table = line.startswith("|")
        if len(line) > WIDTH and not fenced and not table:
            wide.append(number)
    assert not wide


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("0*.md")), ids=lambda page: page.stem)
def test_a_decision_has_the_form_of_all(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Situation", "Decision", "Considered", "Consequences"]
    assert re.match(rf"# ({page.name[:4]}|NNNN): ", text)
    assert "- Status: " in text
    assert "- Date: " in text
