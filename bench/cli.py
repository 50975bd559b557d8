"""The command: choose programs and parts, run them, print the tables, write the file."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bearer, ceiling, machine, memory, report, rounds, scale, works
from bench.errors import BenchError
from bench.programs import PROGRAMS, ROOT, Program, Running

RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how often."""

    rounds: int
    seconds: float
    long: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """A program that was found on this machine."""

    program: Program
    binary: str
    version: str


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--quick", action="store_true", help="about six minutes: short rounds, no scale part (the default)"
    )
    length.add_argument("--full", action="store_true", help="about half an hour: long rounds, memory and scale")
    parser.add_argument("--only", metavar="WORKS", default="", help=f"some of: {','.join(works.WORKS)}")
    parser.add_argument(
        "--against", metavar="NAMES", default="", help=f"some of: {','.join(_others())}; all by default"
    )
    parser.add_argument("--no-moorage", action="store_true", help="measure the others alone")
    parser.add_argument("--scale", action="store_true", help="the scale part alone: tags, repositories, blob sizes")
    parser.add_argument(
        "--memory", action="store_true", help="the memory part alone: workers idle and loaded, time to ready"
    )
    parser.add_argument("--bearer", action="store_true", help="what a Bearer token costs, alone")
    parser.add_argument("--rounds", type=int, help="rounds instead of the mode's number")
    parser.add_argument("--seconds", type=float, help="seconds a round instead of the mode's")
    parser.add_argument("--program", metavar="NAME=FILE", action="append", default=[], help="run FILE as that program")
    parser.add_argument("--folder", type=Path, help="where the registries keep their data meanwhile (a real disk)")
    parser.add_argument("--name", default="latest", help="write bench/results/NAME.json")
    return parser.parse_args(arguments)


def _others() -> list[str]:
    return [name for name in PROGRAMS if name != "moorage"]


def choose(wanted: argparse.Namespace) -> list[Chosen]:
    """The programs to run. Raises BenchError where one that was asked for, or Moorage, is not installed."""
    overrides = dict(part.split("=", 1) for part in wanted.program)
    asked = [name for name in wanted.against.split(",") if name]
    if unknown := set(asked) - set(_others()):
        raise BenchError(f"no such program: {', '.join(sorted(unknown))}")
    names = ([] if wanted.no_moorage else ["moorage"]) + (asked or _others())
    chosen = []
    for name in names:
        program = PROGRAMS[name]
        if binary := program.find(overrides.get(name)):
            chosen.append(Chosen(program, binary, program.describe(binary)))
        elif name in asked or name in ("moorage", rounds.BASE):
            raise BenchError(f"{program.title} is not installed (looked for {', '.join(program.binaries)})")
        else:
            print(f"{program.title} is not installed here and is left out")
    return chosen


def settings_of(wanted: argparse.Namespace) -> Settings:
    """Rounds and seconds of the mode, or as asked."""
    usual = (5, 4.0) if wanted.full else (3, 1.5)
    return Settings(wanted.rounds or usual[0], wanted.seconds or usual[1], wanted.full)


def start(chosen: list[Chosen], folder: Path, running: list[Running]) -> dict[str, Any]:
    """Start every program, adding it to `running`; returns what is written about them."""
    facts: dict[str, Any] = {}
    for one in chosen:
        where = folder / one.program.name
        where.mkdir()
        started = Running(one.program, one.binary, where)
        running.append(started)
        ready = started.wait_ready()
        name = Path(one.binary).name
        facts[one.program.name] = {
            "version": one.version,
            "command": [name, *(part.replace(str(where), "DATA") for part in started.command[1:])],
            "ready": ready,
        }
    return facts


def measure_works(names: list[str], running: list[Running], folder: Path, settings: Settings) -> dict[str, Any]:
    """Stock every registry, measure all works in turn, compare all bytes again at the end."""
    files = works.make_files(folder, names)
    for one in running:
        try:
            works.stock(one, files)
            works.check(one, files)
        except (BenchError, OSError) as error:
            raise BenchError(f"stocking {one.name}: {error}\n{one.tail()}") from error
    lines: list[rounds.Line] = []
    for name in names:
        line = rounds.measure(works.WORKS[name], running, files, settings.rounds, settings.seconds)
        lines.append(line)
        medians = (f"{one.name} {report.quantity(line.median(one.name), line.work.unit)}" for one in running)
        print(f"{line.work.title}: {', '.join(medians)}", flush=True)
    for one in running:
        works.check(one, files)
    found: dict[str, Any] = {"works": {line.work.name: line.as_json() for line in lines}, "noise": rounds.noise(lines)}
    if "500m" in files.blobs:
        found["client"] = ceiling.measure(files.blobs["500m"])
    return found


def run(wanted: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything that was asked for, as the file of results. Raises BenchError for any error of any program."""
    names = [name for name in wanted.only.split(",") if name] or list(works.WORKS)
    if unknown := set(names) - set(works.WORKS):
        raise BenchError(f"no such work: {', '.join(sorted(unknown))}")
    if (wanted.memory or wanted.bearer) and wanted.no_moorage:
        raise BenchError("these parts are about Moorage alone")
    settings, chosen, running = settings_of(wanted), choose(wanted), list[Running]()
    parts_alone = wanted.scale or wanted.memory or wanted.bearer
    results: dict[str, Any] = {
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(folder),
        "settings": {
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "mode": "full" if settings.long else "quick",
        },
        "works": {},
    }
    try:
        results["programs"] = start(chosen, folder, running)
        if not parts_alone:
            results |= measure_works(names, running, folder, settings)
    finally:
        for one in running:
            one.stop()
    if wanted.memory or not (parts_alone or wanted.no_moorage or wanted.only):
        results["memory"] = memory.measure(chosen[0].program, chosen[0].binary, folder, 20.0 if settings.long else 8.0)
    if wanted.bearer or not (parts_alone or wanted.no_moorage or wanted.only):
        results["bearer"] = bearer.measure(
            chosen[0].program, chosen[0].binary, folder, settings.rounds, settings.seconds
        )
    if wanted.scale or (settings.long and not parts_alone and not wanted.only):
        results["scale"] = scale.measure(
            [(one.program, one.binary) for one in chosen], folder, scale.FULL if settings.long else scale.QUICK
        )
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run the bench; 0 unless a program answered wrongly, died or is missing. Being slow is not an error."""
    wanted = parse(arguments)
    folder = Path(tempfile.mkdtemp(prefix="moorage-bench-", dir=wanted.folder))
    try:
        results = run(wanted, folder)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{wanted.name}.json"
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{report.full(results)}\n\nwritten to {target.relative_to(ROOT)}", flush=True)
    return 0
