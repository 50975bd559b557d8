"""The htpasswd file: what counts, reading it again, being caught half-written, making it."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.htpasswd import HtpasswdFile, ensure_file, parse
from moorage.auth.settings import HtpasswdSettings

# One salt for all and always, so that the cases below have the same names in every test process.
HASHES = {name: bcrypt.hashpw(name.encode(), b"$2b$04$abcdefghijklmnopqrstuu") for name in ("alice", "bob", "carol")}


def text(*names: str) -> bytes:
    return b"".join(name.encode() + b":" + HASHES[name] + b"\n" for name in names)


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Case:
    """A file, the object that reads it, and a clock that stands still."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.time = Time()
        path.write_bytes(content)
        self.file = HtpasswdFile(HtpasswdSettings("realm", path), self.time)

    def users(self, *, after: float = 0.0) -> set[str]:
        self.time.at += after
        return {name for name in HASHES if self.file.hash_of(name) is not None}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path / "htpasswd", text("alice", "bob"))
    assert case.users(after=1) == case.users(after=1) == {"alice", "bob"}  # settled
    return case


def test_bcrypt_entries_comments_and_blank_lines() -> None:
    parsed = parse(
        b"# users\n\n  \n" + text("alice") + b"  #x:y\r\n" + text("bob").strip() + b"\r\n" + text("carol").strip()
    )
    assert parsed.entries == HASHES
    assert parsed.ignored == parsed.broken == []


def test_a_byte_order_mark_is_not_part_of_the_first_user() -> None:
    assert parse(b"\xef\xbb\xbf" + text("alice")).entries.keys() == {"alice"}


@pytest.mark.parametrize("kind", ["2a", "2b", "2y"])
def test_all_kinds_of_bcrypt_that_are_right(kind: str) -> None:
    hashed = HASHES["alice"].replace(b"$2b$", f"${kind}$".encode())
    assert parse(b"alice:" + hashed).entries == {"alice": hashed}
    assert bcrypt.checkpw(b"alice", hashed)


@pytest.mark.parametrize(
    "hashed",
    [
        "$apr1$tt6XgXNb$5Vsr1Hd8aZBrIBZNNmFMW0",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "rqXexS6ZhobKA",
        "plain",
        "$5$rounds=5000$salt$hash",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
        "$2x$04$" + "a" * 53,
        "$2b$18$" + "a" * 53,
        "$2b$31$" + "a" * 53,
        "$2b$03$" + "a" * 53,
        "$2b$00$" + "a" * 53,
    ],
)
def test_other_hashes_are_named_with_their_line_and_do_not_count(hashed: str) -> None:
    parsed = parse(b"\nmallory:" + hashed.encode() + b"\n" + text("alice"))
    assert parsed.entries.keys() == {"alice"}
    assert [number for number, _ in parsed.ignored] == [2]
    assert parsed.broken == []


@pytest.mark.parametrize(
    "line",
    [b"mallory", b":" + HASHES["alice"], *(b"mallory:" + HASHES["alice"][:cut] for cut in (0, 1, 3, 4, 7, 29, 59))],
)
def test_cut_off_lines_are_broken(line: bytes) -> None:
    parsed = parse(text("alice") + line)
    assert parsed.entries.keys() == {"alice"}
    assert [number for number, _ in parsed.broken] == [2]


def test_one_character_too_much_is_broken_too() -> None:
    assert parse(b"mallory:" + HASHES["alice"] + b"x").entries == {}


def test_text_that_is_no_utf8_is_ignored() -> None:
    assert parse(b"m\xff:" + HASHES["alice"]).ignored == [(1, "is not UTF-8")]


def test_users_may_have_any_letters() -> None:
    assert parse("jürgen müller:".encode() + HASHES["alice"]).entries.keys() == {"jürgen müller"}


def test_of_several_lines_for_one_user_the_first_counts() -> None:
    parsed = parse(b"alice:" + HASHES["bob"] + b"\n" + text("alice"))
    assert parsed.entries == {"alice": HASHES["bob"]}
    assert [number for number, _ in parsed.ignored] == [2]


def test_a_third_field_is_not_part_of_the_hash() -> None:
    assert parse(text("alice").strip() + b":Alice Example\n").entries == {"alice": HASHES["alice"]}


@given(st.binary(max_size=300))
def test_no_content_makes_parsing_fail(data: bytes) -> None:
    parse(data)


@pytest.mark.needs("htpasswd")
def test_what_apaches_tool_writes_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    subprocess.run(["htpasswd", "-Bbc", str(path), "alice", "pw"], check=True, capture_output=True)
    subprocess.run(["htpasswd", "-mb", str(path), "bob", "pw"], check=True, capture_output=True)
    parsed = parse(path.read_bytes())
    assert bcrypt.checkpw(b"pw", parsed.entries["alice"])
    assert [number for number, _ in parsed.ignored] == [2]


def test_a_new_user_is_there_within_a_second(case: Case) -> None:
    case.path.write_bytes(text("alice", "bob", "carol"))
    assert case.users(after=0.5) == {"alice", "bob"}
    assert case.users(after=0.5) == {"alice", "bob", "carol"}


def test_a_changed_password_is_there_within_a_second(case: Case) -> None:
    case.path.write_bytes(b"alice:" + HASHES["carol"] + b"\n" + text("bob"))
    case.users(after=1)
    assert case.file.hash_of("alice") == HASHES["carol"]


def test_a_removed_user_is_out_as_soon_as_the_file_rests(case: Case) -> None:
    case.path.write_bytes(text("alice"))
    assert case.users(after=1) == {"alice", "bob"}
    assert case.users(after=1) == {"alice"}


def test_removing_all_users_works(case: Case) -> None:
    case.path.write_bytes(b"")
    assert case.users(after=1) == {"alice", "bob"}
    assert case.users(after=1) == set()


@pytest.mark.parametrize("cut", range(1, len(text("alice", "bob", "carol")) - 1, 7))
def test_a_half_written_file_changes_nothing(case: Case, cut: int) -> None:
    whole = text("carol", "bob", "alice")
    case.path.write_bytes(whole[:cut])
    assert case.users(after=1) == {"alice", "bob"}
    case.path.write_bytes(whole)
    assert case.users(after=1) == {"alice", "bob", "carol"}


def test_a_broken_file_that_rests_is_meant_so(case: Case) -> None:
    case.path.write_bytes(text("alice") + b"bob\n" + text("carol"))
    assert case.users(after=1) == {"alice", "bob"}
    assert case.users(after=1) == {"alice", "carol"}


def test_a_change_within_the_same_tick_of_the_clock_is_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HtpasswdFile, "_signature", staticmethod(lambda status: (1, 1, status.st_size, 1)))
    swapped = b"alice:" + HASHES["bob"] + b"\nbob:" + HASHES["alice"] + b"\n"
    case.path.write_bytes(text("alice", "bob"))
    case.users(after=1)
    case.path.write_bytes(swapped)
    case.users(after=1)
    assert case.file.hash_of("alice") == HASHES["bob"]


def test_a_file_that_is_replaced_is_found(case: Case) -> None:
    before = case.path.stat()
    new = case.path.with_name("new")
    new.write_bytes(text("carol", "bob"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(case.path)
    assert case.users(after=1) | case.users(after=1) >= {"carol"}
    assert case.users() == {"bob", "carol"}


def test_a_file_that_rests_is_not_read_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HtpasswdFile, "_read", lambda self: pytest.fail("read again"))
    assert case.users(after=1) == case.users(after=1) == {"alice", "bob"}


def test_the_file_is_looked_at_once_a_second(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    monkeypatch.setattr(HtpasswdFile, "_look", lambda self: looks.append(case.time.at))
    for _ in range(100):
        case.users(after=0.1)
    assert len(looks) in range(8, 12)


def test_a_file_that_is_gone_keeps_the_users_and_complains_once(case: Case) -> None:
    case.path.unlink()
    with structlog.testing.capture_logs() as logs:
        assert [case.users(after=1) for _ in range(3)] == [{"alice", "bob"}] * 3
    assert [entry["log_level"] for entry in logs] == ["error"]
    case.path.write_bytes(text("carol"))
    case.users(after=1)
    assert case.users(after=1) == {"carol"}


def test_a_folder_or_a_huge_file_in_its_place_keeps_the_users(case: Case) -> None:
    with case.path.open("wb") as file:
        file.truncate(1 << 30)
    assert case.users(after=1) == case.users(after=1) == {"alice", "bob"}
    case.path.unlink()
    case.path.mkdir()
    assert case.users(after=1) == case.users(after=1) == {"alice", "bob"}


def test_problems_are_logged_once_with_line_and_without_the_hash(case: Case) -> None:
    secret = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
    case.path.write_bytes(text("alice", "bob") + b"mallory:" + secret.encode() + b"\n")
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            case.users(after=1)
    warnings: list[dict[str, Any]] = [dict(entry) for entry in logs if entry["log_level"] == "warning"]
    assert [entry["line"] for entry in warnings] == [3]
    assert secret not in str(logs)


def test_without_a_file_nobody_gets_in(tmp_path: Path) -> None:
    time = Time()
    file = HtpasswdFile(HtpasswdSettings("r", tmp_path / "none"), time)
    assert file.hash_of("alice") is None
    (tmp_path / "none").write_bytes(text("alice"))
    time.at += 1
    assert file.hash_of("alice") == HASHES["alice"]


def test_a_decoy_is_constant_costs_what_a_users_hash_costs_and_fits_no_password(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_bytes(text("alice") + b"bob:" + bcrypt.hashpw(b"x", bcrypt.gensalt(6)) + b"\n")
    file = HtpasswdFile(HtpasswdSettings("r", path))
    costs = {int(file.decoy_of(f"user{number}")[4:6]) for number in range(100)}
    assert costs == {4, 6}
    assert file.decoy_of("x") == file.decoy_of("x")
    assert not bcrypt.checkpw(b"", file.decoy_of("x"))
    assert not bcrypt.checkpw(b"x", file.decoy_of("x"))


def test_a_decoy_without_users_costs_the_usual(tmp_path: Path) -> None:
    assert HtpasswdFile(HtpasswdSettings("r", tmp_path / "none")).decoy_of("x")[4:6] == b"10"


def test_a_missing_file_is_made_with_a_password_that_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "htpasswd"
    out = io.StringIO()
    assert ensure_file(HtpasswdSettings("r", path), out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["htpasswd"]
    password = out.getvalue().split()[-1]
    assert out.getvalue().count("\n") == 1
    assert "'docker'" in out.getvalue()
    assert len(password) >= 32
    assert bcrypt.checkpw(password.encode(), parse(path.read_bytes()).entries["docker"])


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_bytes(b"")
    out = io.StringIO()
    assert not ensure_file(HtpasswdSettings("r", path), out)
    assert path.read_bytes() == b""
    assert out.getvalue() == ""


def test_of_two_makers_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "htpasswd"
    path.write_bytes(text("alice"))
    monkeypatch.setattr(Path, "exists", lambda self: False)
    out = io.StringIO()
    assert not ensure_file(HtpasswdSettings("r", path), out)
    assert out.getvalue() == ""
    assert path.read_bytes() == text("alice")
    assert [found.name for found in tmp_path.iterdir()] == ["htpasswd"]


def test_passwords_differ(tmp_path: Path) -> None:
    outs = [io.StringIO(), io.StringIO()]
    for number, out in enumerate(outs):
        ensure_file(HtpasswdSettings("r", tmp_path / str(number)), out)
    assert outs[0].getvalue().split()[-1] != outs[1].getvalue().split()[-1]
