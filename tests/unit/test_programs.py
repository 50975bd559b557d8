"""A missing program is a skip at home and a failure in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.programs import find_program, require_program

ABSENT = "no-such-program-anywhere"


def test_a_program_that_is_there_is_found() -> None:
    assert Path(require_program("sh")).is_absolute()


def test_folders_given_come_before_the_path(tmp_path: Path) -> None:
    mine = tmp_path / "sh"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert find_program("sh", (str(tmp_path),)) == str(mine)


def test_without_a_wish_it_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOORAGE_TESTS_MUST_NOT_SKIP", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"needs program: {ABSENT}"):
        require_program(ABSENT)


def test_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_TESTS_MUST_NOT_SKIP", "1")
    with pytest.raises(pytest.fail.Exception, match=f"needs program: {ABSENT}"):
        require_program(ABSENT)


@pytest.mark.parametrize(("wish", "outcome"), [("", "skipped"), ("1", "errors")])
def test_the_marker_does_the_same(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, wish: str, outcome: str
) -> None:
    monkeypatch.setenv("MOORAGE_TESTS_MUST_NOT_SKIP", wish)
    pytester.makeconftest("from tests.conftest import pytest_runtest_setup\n")
    pytester.makeini("[pytest]\nmarkers =\n  needs: programs\n")
    pytester.makepyfile(f"import pytest\n@pytest.mark.needs('sh', '{ABSENT}')\ndef test_it(): pass\n")
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:asyncio")
    assert result.parseoutcomes() == {outcome: 1}
