"""The lookups of pulls are in the metrics, over a socket."""

from __future__ import annotations

import re

from tests.support.wire import Client, wait_until
from tests.wire.conftest import Serve

PULLS = 64
COUNT = re.compile(r'^moorage_database_seconds_count\{action="lookup"\} ([0-9.e+]+)$', re.MULTILINE)


def test_pulls_count_as_lookups(serve: Serve) -> None:
    with Client(serve(workers_wanted=1)) as client:
        client.push_image("a/b", "one", b"a layer")

        def counted() -> float:
            found = COUNT.search(client.get("/metrics").expect(200).body.decode())
            return float(found[1]) if found else 0.0

        before = counted()
        for _ in range(PULLS):
            client.get("/v2/a/b/manifests/one").expect(200)
        wait_until(lambda: counted() >= before + PULLS)
        assert counted() <= before + PULLS + 16
