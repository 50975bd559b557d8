"""The checks of scripts/ can fail: each is shown a breach of every rule it has, and something clean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import check_docs, check_sizes, check_text


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def protocol(methods: int, promise: str = '"""Promise."""') -> str:
    body = "".join(f"    def m{number}(self):\n        {promise}\n" for number in range(methods))
    return f"class Port(typing.Protocol):\n{body}"


SIZE_BREACHES = {
    "a long function": (function("f", 81) + function("g", 2) * 20, "::f: 81, the limit is 80"),
    "a long async function": ("async " + function("f", 81), "::f: 81, the limit is 80"),
    "a long file": ("#\n" * 601, "a.py: 601, the limit is 600"),
    "long functions on the whole": (function("f", 11) * 10, "the median function has 11 lines"),
    "a long tail of functions": (
        function("f", 5) * 8 + function("g", 40) * 2,
        "90th percentile of functions",
    ),
    "long files on the whole": ("#\n" * 401, "90th percentile of files is 401 lines"),
    "a wide port": (protocol(9), "::Port: 9, the limit is 8"),
    "a generic wide port": (protocol(9).replace("Protocol", "Protocol[T]"), "::Port: 9, the limit is 8"),
    "a port without promises": (protocol(1, "..."), "Port.m0: a method of a port says"),
}


@pytest.mark.parametrize(("text", "complaint"), SIZE_BREACHES.values(), ids=SIZE_BREACHES)
def test_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str) -> None:
    write(tmp_path, "src/a.py", text)
    assert check_sizes.main(tmp_path) == 1
    assert complaint in capsys.readouterr().err


def test_sizes_within_the_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "src/a.py", function("f", 5) * 10 + function("g", 80) + protocol(8))
    write(tmp_path, "tests/test_a.py", "#\n" * 300)
    assert check_sizes.main(tmp_path) == 0
    assert not capsys.readouterr().err


def test_sizes_of_nothing_is_no_success(tmp_path: Path) -> None:
    assert check_sizes.main(tmp_path) == 1


def test_an_exception_holds_as_long_as_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_sizes, "EXCEPTIONS", {"src/a.py::f": "why"})
    write(tmp_path, "src/a.py", function("f", 81) + function("g", 2) * 20)
    assert check_sizes.main(tmp_path) == 0
    write(tmp_path, "src/a.py", function("f", 80) + function("g", 2) * 20)
    assert check_sizes.main(tmp_path) == 1


TEXT_BREACHES = {
    "a path of a machine": ("see /" + "work/main for more\n", "a path of somebody's machine"),
    "a home": ('p = "/' + 'home/somebody/x"\n', "a path of somebody's machine"),
    "a package registry": ("https://pypi" + ".org/simple\n", "a package registry's host name"),
    "a mirror of modules": ("GOPROXY=https://proxy.golang" + ".org\n", "a package registry's host name"),
    "a control character": ("a\x1b[0m\n", "a control character"),
    "blanks at an end": ("a \n", "blanks at the end of the line"),
    "no newline": ("a", "no newline at the end"),
}


def repository(root: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)


@pytest.mark.needs("git")
@pytest.mark.parametrize(("text", "complaint"), TEXT_BREACHES.values(), ids=TEXT_BREACHES)
def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str) -> None:
    repository(tmp_path)
    write(tmp_path, "docs/a.md", text)
    assert check_text.main(tmp_path) == 1
    assert f"docs/a.md: {complaint}" in capsys.readouterr().err.replace(":1:", ":")


@pytest.mark.needs("git")
def test_clean_text(tmp_path: Path) -> None:
    repository(tmp_path)
    write(tmp_path, "a.md", "src/work/x, ./work/, https://example.org/home/ and $root/x are nobody's\n")
    write(tmp_path, "ignored", "/" + "work/main ")
    write(tmp_path, ".gitignore", "ignored\n")
    assert check_text.main(tmp_path) == 0


@pytest.mark.needs("git")
def test_text_of_nothing_is_no_success(tmp_path: Path) -> None:
    repository(tmp_path)
    assert check_text.main(tmp_path) == 1


DOCS_BREACHES = {
    "a lost file": ("[a](b.md)", "links to b.md, which does not exist"),
    "a lost heading": ("# One\n[a](#two)", "links to #two, a heading that does not exist"),
    "an unknown target": ("Run `make nothing`.", "says `make nothing`"),
    "an unknown target in a block": ("```sh\nmake nothing\n```", "says `make nothing`"),
}


@pytest.mark.parametrize(("text", "complaint"), DOCS_BREACHES.values(), ids=DOCS_BREACHES)
def test_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str) -> None:
    write(tmp_path, "Makefile", "test: setup\n")
    write(tmp_path, "docs/a.md", text)
    assert check_docs.main(tmp_path) == 1
    assert f"docs/a.md: {complaint}" in capsys.readouterr().err


def test_clean_documents(tmp_path: Path) -> None:
    write(tmp_path, "Makefile", "test: setup\n")
    write(
        tmp_path,
        "a.md",
        "# One thing\nmake nothing of `make test`, [up](#one-thing), [out](https://x.test/), [b](b)\n",
    )
    write(tmp_path, "b", "")
    assert check_docs.main(tmp_path) == 0
