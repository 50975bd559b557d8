"""Whatever is in the file or the environment, loading answers with findings and never raises."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.config import Overrides, load
from moorage.config.table import TABLE

NAMES = sorted({key.name for key in TABLE} | {"fnord", "", "REDIS", "a b"})
WORDS = sorted(
    {choice for key in TABLE for choice in key.choices} | {"", "1h", "-1", "htpasswd", "inmemory", ":5000", "["}
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)
TOP = sorted({key.path for key in TABLE if "." not in key.path})
VARIABLES = sorted({key.variable for key in TABLE})


def loaded(data: bytes, environ: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yml"
        path.write_bytes(data)
        result = load(path, environ, Overrides())
    for finding in result.findings:
        assert finding.message
        assert finding.line is None or finding.line >= 1


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(TOP), VALUES, max_size=5))
def test_any_tree(document: dict[str, Any]) -> None:
    loaded(yaml.safe_dump(document).encode("utf-8", "surrogatepass"), {})


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(TOP), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=30) | st.sampled_from(WORDS), max_size=5),
)
def test_any_environment(document: dict[str, Any], environ: dict[str, str]) -> None:
    loaded(yaml.safe_dump(document).encode("utf-8", "surrogatepass"), environ)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data: bytes) -> None:
    loaded(data, {})
