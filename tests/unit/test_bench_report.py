"""What `bench/table.py` prints can go into the README as it is."""

from __future__ import annotations

from typing import Any

from bench.report import WIDTH, full, readme
from bench.rounds import BASE

VERSION = "github.com/distribution/distribution/v3 v3.1.2+unknown"


def results() -> dict[str, Any]:
    """As bench/run.py writes them, with all that goes into the lines of text."""
    programs = {name: {"version": VERSION} for name in ("moorage", BASE, "distribution", "olareg", "zot")}
    work = {"title": "GET manifest", "unit": "/s", "needed": 12.0, "ratio": {"moorage": 12.5}, "median": {BASE: 1695.0}}
    latency = {"p50": 0.001, "max": 0.045}
    moved = {"bytes": {"pulls": 5e9, "uploads": 7e8, "manifests of several kinds": 4e7, "blobs of other people": 3e9}}
    return {
        "programs": programs,
        "works": {"manifest": {**work, "rounds": {}}},
        "memory": {"cores": {"server": 0.5, "all": 1.9}, "latency_loaded": latency, "moved": moved, "checks": []},
        "machine": {
            "cores": 2,
            "processor": "AMD EPYC",
            "memory": "24684084 kB",
            "filesystem": "ext4",
            "system": "Linux 6.18",
        },
        "settings": {"rounds": 2, "seconds": 1.5},
        "noise": 0.02,
        "client": {"get": 5.88e9, "patch": 4.3e9},
        "made": "2026-11-29T00:00:00Z",
    }


def test_text_is_not_wider_than_that_of_the_documents() -> None:
    for made in (readme(results()), full(results())):
        text = [line for line in made.splitlines() if not line.startswith("|")]
        assert max(len(line) for line in text) <= WIDTH == 118
        assert " ".join(text).count(VERSION) == 5, "no word is broken"
    assert "Under load the server used 0.50 of 1.90 busy cores;" in full(results())
