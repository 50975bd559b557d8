from __future__ import annotations

from pathlib import Path

import pytest

from moorage.config.document import main, page
from moorage.config.keys import Key
from moorage.config.table import TABLE
from tests.support.rows import over

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"
LINES = page().splitlines()


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run python -m moorage.config.document docs/reference/configuration.md"
    )


@over(TABLE)
def test_every_key_has_its_line(key: Key) -> None:
    (line,) = [line for line in LINES if line.startswith(f"| `{key.path}` |")]
    assert line.replace("\\|", "").count("|") == 5
    assert key.note.replace("|", "\\|") in line


def test_it_writes_the_file(tmp_path: Path) -> None:
    main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page()


def test_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert capsys.readouterr().out == page()
