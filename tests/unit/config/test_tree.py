from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.config.findings import Report
from moorage.config.tree import Items, Node, Scalar, Table, Unreadable, is_inert, parse


def table(text: str, report: Report | None = None) -> Table:
    tree = parse(text, report or Report())
    assert isinstance(tree, Table)
    return tree


def inner(node: Node, *names: str) -> Node:
    for name in names:
        assert isinstance(node, Table)
        node = node.entries[name]
    return node


def text_of(node: Node) -> str:
    assert isinstance(node, Scalar)
    return node.text


def test_every_key_knows_its_line() -> None:
    tree = table("a: 1\n\nb:\n  c:\n    - x\n    - y\n")
    assert inner(tree, "a").origin.line == 1
    assert inner(tree, "b").origin.line == 3
    c = inner(tree, "b", "c")
    assert c.origin.line == 4
    assert isinstance(c, Items)
    assert [item.origin.line for item in c.nodes] == [5, 6]


def test_texts_stay_as_written() -> None:
    tree = table("a: 0.10\nb: yes\nc: '007'\nd: 1_000\n")
    assert [text_of(node) for node in tree.entries.values()] == ["0.10", "yes", "007", "1_000"]


@pytest.mark.parametrize("text", ["a:", "a: ~", "a: null", "a: Null"])
def test_null(text: str) -> None:
    node = inner(table(text), "a")
    assert isinstance(node, Scalar)
    assert node.null


def test_a_quoted_null_is_a_text() -> None:
    node = inner(table("a: 'null'"), "a")
    assert isinstance(node, Scalar)
    assert not node.null


def test_a_scalar_given_twice_counts_as_the_last_one() -> None:
    report = Report()
    tree = table("a:\n  b: 1\n  b: 2\n", report)
    (finding,) = report
    assert text_of(inner(tree, "a", "b")) == "2"
    assert (finding.severity, finding.line, finding.key) == ("warning", 3, "a.b")
    assert "first on line 2" in finding.message
    assert "the last one counts" in finding.message


def test_sections_given_twice_are_read_together() -> None:
    report = Report()
    tree = table("a: {b: 1, c: 1}\na: {c: 2, d: 2}\n", report)
    assert {name: text_of(inner(tree, "a", name)) for name in ("b", "c", "d")} == {"b": "1", "c": "2", "d": "2"}
    assert [(finding.key, finding.line) for finding in report] == [("a", 2), ("a.c", 2)]


def test_merge_keys_fill_in_what_is_absent() -> None:
    tree = table("base: &base {x: 1, y: 1}\na:\n  <<: *base\n  y: 2\nb:\n  <<: [*base, {z: 3}]\n")
    assert text_of(inner(tree, "a", "x")) == "1"
    assert text_of(inner(tree, "a", "y")) == "2"
    assert text_of(inner(tree, "b", "z")) == "3"


def test_aliases_are_copies() -> None:
    tree = table("a: &x {k: 1}\nb: *x\n")
    a, b = inner(tree, "a"), inner(tree, "b")
    assert isinstance(a, Table)
    a.entries["k"] = Scalar("2", False, a.origin)
    assert text_of(inner(b, "k")) == "1"


def test_an_alias_within_itself_is_refused() -> None:
    with pytest.raises(Unreadable, match="contains itself"):
        parse("a: &x [*x]", Report())


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(Unreadable, match="too many values"):
        parse("\n".join(lines), Report())


def test_deep_nesting_is_refused() -> None:
    for depth in (60, 5000):
        with pytest.raises(Unreadable, match="nested too deeply"):
            parse("[" * depth + "]" * depth, Report())


def test_a_tab_is_named_with_its_line() -> None:
    with pytest.raises(Unreadable, match="tab") as raised:
        parse("a:\n\tb: 1\n", Report())
    assert raised.value.line == 2


@pytest.mark.parametrize(
    "text", ["password: *hunter2", "password: !hunter2!x y", "a: &hunter2 1\nb: &hunter2 2\nc: *q"]
)
def test_a_refusal_does_not_quote_the_text(text: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(text, Report())
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("data", [b"\xff\xfe\xff", b"a: \x00", b"a: \x01b", b"\x80abc"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="characters"):
        parse(data, Report())


def test_a_byte_order_mark_is_fine() -> None:
    tree = parse("\ufeffa: 1\n".encode(), Report())
    assert isinstance(tree, Table)
    assert list(tree.entries) == ["a"]


def test_a_second_document_is_reported() -> None:
    report = Report()
    tree = table("a: 1\n---\nb: 2\n", report)
    assert list(tree.entries) == ["a"]
    assert "second YAML document" in next(iter(report)).message


def test_a_key_that_is_a_list_is_an_error() -> None:
    report = Report()
    table("? [a, b]\n: 1\n", report)
    (finding,) = report
    assert (finding.severity, finding.line) == ("error", 1)


@pytest.mark.parametrize(
    "text",
    [
        "x:",
        "x: ''",
        "x: {}",
        "x: []",
        "x: {enabled: false, interval: 10s}",
        "x: {a: {b: }}",
        "x: [{disabled: yes, url: u}]",
    ],
)
def test_inert(text: str) -> None:
    assert is_inert(inner(table(text), "x"))


@pytest.mark.parametrize("text", ["x: 0", "x: false", "x: [a]", "x: {enabled: true}", "x: {a: {b: c}}"])
def test_not_inert(text: str) -> None:
    assert not is_inert(inner(table(text), "x"))


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_anything_is_read_or_refused(data: str | bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert parse(data, Report()).origin.line


@pytest.mark.parametrize("text", ["*", "a: *", "a: &", "[a"])
def test_no_byte_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(text, Report())
    assert "x00" not in str(raised.value)
