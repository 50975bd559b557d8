"""The lookups of pulls are in the metrics, over a socket."""

from __future__ import annotations

import re

from tests.support.wire import Client, wait_until
from tests.wire.conftest import Serve

PULLS = 64
COUNT = re.compile(r'^moorage_database_seconds_count\{action="lookup"\} ([0-9.e+]+)$', re.MULTILINE)


def counted(client: Client) -> float:
    found = COUNT.search(client.get("/metrics").expect(200).body.decode())
    return float(found[1]) if found else 0.0


def test_pulls_count_as_lookups(serve: Serve) -> None:
    with Client(serve(workers_wanted=1)) as client:
        client.push_image("a/b", "one", b"a layer")
        before = counted(client)
        for number in range(PULLS):
            client.get(f"/v2/a/b/manifests/none-{number}").expect(404)
        wait_until(lambda: counted(client) >= before + PULLS)
        assert counted(client) <= before + PULLS + 16


def test_what_is_pulled_again_is_not_looked_up_again(serve: Serve) -> None:
    with Client(serve(workers_wanted=1)) as client:
        client.push_image("a/b", "one", b"a layer")
        before = counted(client)
        for _ in range(4 * PULLS):
            client.get("/v2/a/b/manifests/one").expect(200)
        # Upkeep commits now and then, and after each commit one has to look again.
        assert counted(client) <= before + PULLS
