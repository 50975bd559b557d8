"""`python -m moorage`."""

from __future__ import annotations

from moorage.cli import main

main()
