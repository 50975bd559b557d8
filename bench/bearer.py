"""What a Bearer token costs: GET of a manifest with one beside the same without, of two Moorages over one root."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench import token_cost, works, wrk
from bench.programs import Plan, Program, Running
from bench.wire import Address, Connection, build, expect

SHARE = 0.75
"""Of the rate without credentials, what has to be left with a token."""

_PASSWORD = "of a server that lives for a minute"  # noqa: S105
_CONNECTIONS = 16


def measure(program: Program, binary: str, folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Rates of both in turn, and their ratio as a check. Raises BenchError for any wrong answer."""
    root = folder / "bearer" / "data"
    root.parent.mkdir()
    running: list[Running] = []
    try:
        rates: dict[str, list[float]] = {"open": [], "token": []}
        for name in rates:
            kind = replace(program, plan=partial(_plan, name, root))
            where = folder / "bearer" / name
            where.mkdir()
            running.append(Running(kind, binary, where))
            running[-1].wait_ready()
        works.stock(running[0], works.make_files(folder, ["manifest"]))
        for number in range(rounds + 1):
            for one, name in zip(running, rates, strict=True):
                rate = _rate(one, name, seconds if number else 1.0)
                if number:  # the first round warms up
                    rates[name].append(rate)
        costs = token_cost.measure(running[-1], "admin", _PASSWORD)
    finally:
        for one in running:
            one.stop()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    share = medians["token"] / medians["open"]
    print(
        f"GET manifest with a Bearer token: {medians['token']:,.0f}/s, {share:.0%} of {medians['open']:,.0f}/s without"
    )
    title = "GET manifest with a Bearer token, its time by that without credentials"
    checks = [{"title": title, "value": 1 / share, "limit": 1 / SHARE, "unit": "ratio"}, *costs]
    return {"rates": rates, "medians": medians, "share": share, "checks": checks}


def _plan(name: str, root: Path, binary: str, _folder: Path, at: Address) -> Plan:
    command = [binary, "serve", "--host", at.host, "--port", str(at.port), "--root", str(root), "--workers", "2"]
    mode = "local" if name == "token" else "none"
    return Plan([*command, "--auth", mode], {"MOORAGE_ADMIN_PASSWORD": _PASSWORD})


def _rate(running: Running, name: str, seconds: float) -> float:
    headers = (f"Authorization: Bearer {_token(running.at)}",) if name == "token" else ()
    url = running.at.url(f"/v2/{works.REPOSITORY}/manifests/{works.TAG}")
    return wrk.run(url, _CONNECTIONS, seconds, headers).requests


def _token(at: Address) -> str:
    """A token that may pull, fetched as a client does."""
    path = f"/token?service=moorage&scope=repository:{works.REPOSITORY}:pull"
    connection = Connection(at)
    try:
        asked = build("GET", path, at, token_cost.basic("admin", _PASSWORD), None)
        answer = expect(connection.ask(asked), 200, "a token")
    finally:
        connection.close()
    return str(json.loads(answer.body)["token"])
