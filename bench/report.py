"""From numbers to tables, for a terminal and for a README: both are the same Markdown."""

from __future__ import annotations

import textwrap
from typing import Any

from bench.rounds import BASE

Json = dict[str, Any]
TITLES = {
    "moorage": "Moorage",
    "docker-registry": "docker-registry 2.8",
    "distribution": "Distribution v3",
    "olareg": "olareg",
    "zot": "zot",
}
WIDTH = 118
"""Of text that is no table: what the documents are checked for."""


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with columns padded to one width, the first to the left and the others to the right."""
    widths = [max(len(row[place]) for row in [header, *rows]) for place in range(len(header))]

    def line(cells: list[str]) -> str:
        padded = (
            c.ljust(w) if place == 0 else c.rjust(w) for place, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (w + 2) if place == 0 else "-" * (w + 1) + ":" for place, w in enumerate(widths)) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def quantity(value: float | None, unit: str) -> str:
    """A number for people: 2,413/s, 1.52 GB/s, 40 images/s, 812 µs."""
    if value is None:
        return "-"
    if unit == "bytes/s":
        return f"{value / 1e9:.2f} GB/s" if value >= 1e8 else f"{value / 1e6:.1f} MB/s"
    if unit == "s":
        return f"{value * 1e3:.1f} ms" if value >= 0.001 else f"{value * 1e6:.0f} µs"
    if unit == "MiB":
        return f"{value:.1f} MiB"
    return f"{value:,.0f} images/s" if unit == "images/s" else f"{value:,.0f}/s"


def ratio(value: float | None) -> str:
    """A ratio with two digits that mean something."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 19.5 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"


def ratios_table(results: Json) -> str:
    """The table of ratios: docker-registry is 1, and its own numbers stand beside."""
    works: dict[str, Json] = results["works"]
    others = [name for name in results["programs"] if name not in ("moorage", BASE)]
    header = ["work", "Moorage", "needed", f"{TITLES[BASE]} is 1 =", *(TITLES[name] for name in others)]
    rows = [_ratio_row(line, others) for line in works.values()]
    return markdown(header, rows) if rows else ""


def _ratio_row(line: Json, others: list[str]) -> list[str]:
    found: dict[str, float] = line["ratio"]
    base = quantity(line["median"].get(BASE), line["unit"])
    return [
        line["title"],
        ratio(found.get("moorage")),
        ratio(line["needed"]),
        base,
        *(ratio(found.get(name)) for name in others),
    ]


def absolute_table(results: Json) -> str:
    """The same works as absolute numbers, for readers who want to see what a ratio means."""
    names = list(results["programs"])
    rows = [
        [line["title"], *(quantity(line["median"].get(name), line["unit"]) for name in names)]
        for line in results["works"].values()
    ]
    return markdown(["work", *(TITLES[name] for name in names)], rows) if rows else ""


def cores_table(results: Json) -> str:
    """Cores used by client / server / the rest of the machine, on average over the rounds."""
    names = list(results["programs"])
    rows = [
        [line["title"], *(_cores(line["rounds"].get(name, [])) for name in names)] for line in results["works"].values()
    ]
    return markdown(["cores of client / server / others", *(TITLES[name] for name in names)], rows) if rows else ""


def _cores(samples: list[Json]) -> str:
    if not samples:
        return "-"
    return " / ".join(
        f"{sum(one[key] for one in samples) / len(samples):.2f}" for key in ("client", "server", "others")
    )


def cost_table(results: Json) -> str:
    """Server CPU for one request, image or GB: what a busy machine distorts least. Means over the rounds."""
    names = list(results["programs"])
    rows = [
        [line["title"], *(_cost(line["rounds"].get(name, []), line["unit"]) for name in names)]
        for line in results["works"].values()
        if line["unit"] != "bytes/s" or "PATCH" not in line["title"]
    ]
    return markdown(["server CPU for one of them", *(TITLES[name] for name in names)], rows) if rows else ""


def _cost(samples: list[Json], unit: str) -> str:
    if not samples:
        return "-"
    seconds = sum(one["server"] / one["value"] for one in samples) / len(samples)
    return f"{seconds * 1e12:.0f} ms/GB" if unit == "bytes/s" else quantity(seconds, "s")


def checks_table(results: Json) -> str:
    """The lines that have a limit: value, limit, and whether it is kept."""
    rows = []
    for check in (check for part in ("scale", "memory", "bearer") for check in results.get(part, {}).get("checks", [])):
        kept = "kept" if check["value"] <= check["limit"] else "MISSED"
        value, limit = (_plain(check[key], check["unit"]) for key in ("value", "limit"))
        rows.append([check["title"], value, limit, kept])
    return markdown(["measured", "value", "limit", ""], rows) if rows else ""


def load_line(results: Json) -> str:
    """How busy the machine was while memory was measured under load, and what the slow clients got."""
    found = results.get("memory")
    if not found:
        return ""
    cores, times, moved = found["cores"], found["latency_loaded"], found["moved"]["bytes"]
    gone = ", ".join(f"{kind} {size / 1e6:,.0f} MB" for kind, size in moved.items())
    return _wrapped(
        f"Under load the server used {cores['server']:.2f} of {cores['all']:.2f} busy cores; `/v2/` took "
        f"{quantity(times['p50'], 's')} (median), {quantity(times['max'], 's')} at most; moved: {gone}."
    )


def _plain(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit == "ratio" else quantity(value, unit)


def scale_table(results: Json) -> str:
    """Every series of the scale part: one row per size, one column per program."""
    series: dict[str, Json] = results.get("scale", {}).get("series", {})
    parts = []
    for line in series.values():
        names = list(line["values"])
        sizes = sorted({size for found in line["values"].values() for size in found}, key=int)
        rows = [
            [f"{int(size):,}", *(quantity(line["values"][n].get(size), line["unit"]) for n in names)] for size in sizes
        ]
        parts.append(markdown([line["title"], *(TITLES[name] for name in names)], rows))
    return "\n\n".join(parts)


def foot(results: Json) -> str:
    """Where and how the numbers were made: a sentence or two."""
    machine, settings = results["machine"], results["settings"]
    versions = "; ".join(f"{TITLES[name]}: {one['version']}" for name, one in results["programs"].items())
    where = f"{machine['cores']} cores of {machine['processor']}, {machine['memory']}, {machine['filesystem']}"
    how = f" {settings['rounds']} rounds of {settings['seconds']:g} s, medians" if results["works"] else ""
    noise = f"; others used {results['noise']:.2f} cores meanwhile" if "noise" in results else ""
    client = ""
    if "client" in results:
        get, patch = (quantity(results["client"][key], "bytes/s") for key in ("get", "patch"))
        client = f" The streaming client alone reaches {get} (GET) and {patch} (PATCH)."
    made = f"{where}, {machine['system']}, {results['made'][:10]}."
    return _wrapped(f"{made}{how}{noise}{'.' if how else ''}{client} {versions}.")


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def full(results: Json) -> str:
    """Everything that was measured, as Markdown."""
    parts = (ratios_table, absolute_table, cores_table, cost_table, scale_table, checks_table, load_line, foot)
    return "\n\n".join(text for part in parts if (text := part(results)))


def readme(results: Json) -> str:
    """What a README shows: ratios, the lines with limits, and the foot."""
    return "\n\n".join(text for part in (ratios_table, checks_table, foot) if (text := part(results)))
