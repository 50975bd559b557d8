"""Interleaved rounds: every work goes A B C, B C A, ...: a slow minute hits everybody, and nobody is always first."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from bench.errors import BenchError
from bench.programs import Running
from bench.works import Files, Sample, Work, sample

BASE = "docker-registry"


@dataclass(slots=True)
class Line:
    """All samples of one work, by program, in the order of the rounds."""

    work: Work
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        """The middle value of a program; None where it has none."""
        values = [one.value for one in self.samples.get(name, [])]
        return statistics.median(values) if values else None

    def as_json(self) -> dict[str, object]:
        """The line as it stands in the file of results."""
        medians = {name: self.median(name) for name in self.samples}
        return {
            "title": self.work.title,
            "unit": self.work.unit,
            "needed": self.work.needed,
            "median": medians,
            "ratio": ratios(medians),
            "rounds": {name: [asdict(one) for one in found] for name, found in self.samples.items()},
        }


def ratios(medians: dict[str, float | None]) -> dict[str, float]:
    """Each value by that of the base program; empty where the base was not measured."""
    base = medians.get(BASE)
    return {name: value / base for name, value in medians.items() if value is not None} if base else {}


def measure(work: Work, running: list[Running], files: Files, rounds: int, seconds: float) -> Line:
    """Warm every program up, then measure all of them in turn, `rounds` times (a work of several turns the more often).

    Raises BenchError for any error.
    """
    line = Line(work, {one.name: [] for one in running})
    for one in running:
        _sample(work, one, files, min(1.0, seconds), "warm")
    for number in range(rounds * work.turns):
        first = number % len(running)
        for one in running[first:] + running[:first]:
            line.samples[one.name].append(_sample(work, one, files, seconds / work.turns, f"round{number}"))
    return line


def _sample(work: Work, running: Running, files: Files, seconds: float, label: str) -> Sample:
    try:
        return sample(work, running, files, seconds, label)
    except (BenchError, OSError) as error:
        raise BenchError(f"{work.name} on {running.name}: {error}\n{running.tail()}") from error


def noise(lines: Iterable[Line]) -> float:
    """Cores that programs outside the bench used, on average over all samples."""
    values = [one.others for line in lines for found in line.samples.values() for one in found]
    return statistics.fmean(values) if values else 0.0
