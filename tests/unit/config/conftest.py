from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from moorage.config import Finding, Loaded, Overrides, load

Read = Callable[..., Loaded]
Said = Callable[[Loaded, str], Finding]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a configuration with this text (None: without a file)."""

    def read(
        text: str | bytes | None, environ: Mapping[str, str] | None = None, overrides: Overrides | None = None
    ) -> Loaded:
        path = None
        if text is not None:
            path = tmp_path / "config.yml"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, environ or {}, overrides or Overrides())

    return read


@pytest.fixture
def said() -> Said:
    """Return the one finding about a key."""

    def said(loaded: Loaded, key: str) -> Finding:
        (finding,) = [finding for finding in loaded.findings if finding.key == key]
        return finding

    return said
