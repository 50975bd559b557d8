"""What an operator sees: metrics over all workers, health, logs with request ids and no secrets, the debug listener."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.postgres import free_port, running_cluster
from tests.support.server import HOST, Server
from tests.support.wire import Client, Link, digest, image, wait_until
from tests.support.workers import one_each
from tests.wire.conftest import Serve

FORMATTERS = ["text", "json", "logstash"]
SECRETS = {
    "query": "q-secret-1",
    "basic": "b-secret-2",
    "bearer": "t-secret-3",
    "upload": "u-secret-4",
    "cookie": "c-secret-5",
}


def samples(text: str) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every number of an exposition by name and labels."""
    found: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] += sample.value  # type: ignore[assignment]
    return found


def requests_counted(text: str) -> Counter[tuple[str, str, str]]:
    """Requests by route, method and status."""
    found: Counter[tuple[str, str, str]] = Counter()
    for (name, labels), value in samples(text).items():
        if name == "moorage_http_requests_total":
            label = dict(labels)
            found[label["route"], label["method"], label["status"]] += int(value)
    return found


def test_the_metrics_of_two_workers_add_up_to_what_was_sent(serve: Serve) -> None:
    server = serve()
    links = one_each(server)
    time.sleep(1.5)  # workers publish once a second
    with Client(server) as client:
        before = requests_counted(client.get("/metrics").expect(200).body.decode())
        sent: Counter[tuple[str, str, str]] = Counter()
        uploads = []
        for link in links.values():
            for _ in range(7):
                link.ask("GET", "/v2/").expect(200)
                link.ask("GET", "/v2/counted/manifests/none").expect(404)
                location = link.ask("POST", "/v2/counted/blobs/uploads/").expect(202).need("Location")
                link.ask("PATCH", location, body=b"12345").expect(202)
                uploads.append(location)
                sent += Counter(
                    {
                        ("base", "GET", "200"): 1,
                        ("manifest", "GET", "404"): 1,
                        ("uploads", "POST", "202"): 1,
                        ("upload", "PATCH", "202"): 1,
                    }
                )
        client.ask("PUT", f"{uploads[0]}?digest={digest(b'12345')}").expect(201)
        sent["upload", "PUT", "201"] += 1
        time.sleep(1.5)
        for _ in range(4):  # whichever worker is asked
            client.close()
            answer = client.get("/metrics").expect(200)
            assert answer.need("Content-Type").startswith("text/plain")
            text = answer.body.decode()
            grown = requests_counted(text)
            grown.subtract(before)
            assert {key: count for key, count in grown.items() if key in sent} == dict(sent)
        numbers = {(name, dict(labels).get("route", "")): value for (name, labels), value in samples(text).items()}
        assert numbers["moorage_uploads_open", ""] == len(uploads) - 1
        received = sum(
            value for (name, _), value in samples(text).items() if name == "moorage_http_received_bytes_total"
        )
        assert received == 5 * len(uploads)
        for name in (
            "moorage_http_request_seconds_count",
            "moorage_storage_seconds_count",
            "moorage_database_seconds_count",
        ):
            assert any(found == name and value > 0 for (found, _), value in samples(text).items()), name
        assert "counted" not in text, "no repository's name in metrics"
    for link in links.values():
        link.close()


def is_ready(client: Client) -> bool:
    """Whether a new connection is served; those that waited for a killed worker are reset."""
    try:
        return client.get("/readyz").status == 200
    except ConnectionResetError:
        return False


def test_counters_survive_a_worker(serve: Serve) -> None:
    server = serve(clean=False)
    links = one_each(server)
    with Client(server) as client:
        for link in links.values():
            for _ in range(10):
                link.ask("GET", "/v2/").expect(200)
        time.sleep(1.3)
        os.kill(next(iter(links)), 9)
        wait_until(lambda: len(server.workers()) == 2)
        client.close()
        wait_until(lambda: is_ready(client))
        counted = requests_counted(client.get("/metrics").expect(200).body.decode())
        assert counted["base", "GET", "200"] >= 20
    for link in links.values():
        link.close()


def test_metrics_are_at_another_path_or_off(serve: Serve) -> None:
    with Client(
        serve(config={"version": "0.1", "http": {"debug": {"prometheus": {"enabled": True, "path": "/m/x"}}}})
    ) as client:
        client.get("/m/x").expect(200)  # is itself the first request that this worker has to tell of
        assert b"moorage_http_requests_total" in client.get("/m/x").expect(200).body
        client.get("/metrics").expect(404)
    with Client(serve(config={"version": "0.1", "http": {"debug": {"prometheus": {"enabled": False}}}})) as client:
        client.get("/metrics").expect(404)


def test_health(client: Client) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.get(path).expect(200).body == b"ok\n"
        assert client.ask("HEAD", path).expect(200).body == b""
        client.ask("POST", path).expect(404)


def test_ready_says_no_while_the_storage_is_gone(serve: Serve, tmp_path: Path) -> None:
    server = serve(environment={"REGISTRY_DATABASE_URL": f"sqlite:///{tmp_path}/facts.db"})
    with Client(server) as client:
        client.get("/readyz").expect(200)
        moved = server.root.with_name("unmounted")
        server.root.rename(moved)
        server.root.mkdir()  # as the empty place of a volume is left
        wait_until(lambda: client.get("/readyz").status == 503, within=5)
        assert client.get("/readyz").body == b"the storage is not there\n"
        client.get("/healthz").expect(200)
        server.root.rmdir()
        moved.rename(server.root)
        wait_until(lambda: client.get("/readyz").status == 200, within=5)


def test_ready_says_no_while_the_database_is_down_and_alive_says_yes(serve: Serve) -> None:
    with running_cluster() as cluster:
        cluster.sql("CREATE DATABASE down")
        with Client(serve(environment={"REGISTRY_DATABASE_URL": cluster.url("down")}, clean=False)) as client:
            client.push_image("down", "v1", b"layer")
            cluster.stop()
            client.get("/healthz").expect(200)
            client.get("/readyz").expect(503)
            for method, target in (
                ("HEAD", f"/v2/down/blobs/{digest(b'layer')}"),
                ("GET", "/v2/down/tags/list"),
                ("GET", "/v2/down/manifests/v1"),
                ("POST", "/v2/down/blobs/uploads/"),
            ):
                answer = client.ask(method, target).expect(503)  # never 404: clients would push again
                assert int(answer.need("Retry-After")) > 0
            client.get("/healthz").expect(200)


# --- logs


def logging(log: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration about which there is nothing to say."""
    return {"version": "0.1", "storage": {"filesystem": {}}, "log": log, **more}


def make_traffic(server: Server) -> None:
    """Requests of every kind, with secrets where people put them."""
    credentials = base64.b64encode(f"user:{SECRETS['basic']}".encode()).decode()
    with Client(server) as client:
        client.push_image("logged", "v1", b"layer")
        client.get("/v2/", [("Authorization", f"Basic {credentials}"), ("Cookie", f"session={SECRETS['cookie']}")])
        client.get("/v2/", [("Authorization", f"Bearer {SECRETS['bearer']}")])
        client.get(f"/v2/logged/tags/list?n=1&token={SECRETS['query']}&password={SECRETS['query']}")
        client.get(f"/v2/logged/manifests/v1?X-Amz-Signature={SECRETS['query']}&sig={SECRETS['query']}")
        client.get(
            "/v2/logged/tags/list", [("User-Agent", 'quo"te\\ {"a": 1} \u00e9'), ("X-Request-Id", "my-own.id_1")]
        )
        client.get("/v2/lo%0agged/tags/list").expect(400)
        client.get("/v2/%22quoted%22/%5cx/tags/list").expect(400)
        client.get("/nothing?next=https%3A%2F%2Fuser%3A" + SECRETS["upload"] + "%40example.com").expect(404)


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_every_request_has_a_line_with_its_id_and_no_secret(serve: Serve, formatter: str) -> None:
    fields = {"service": "registry", "environment": "test"}
    server = serve(config=logging({"formatter": formatter, "fields": fields, "level": "debug"}))
    make_traffic(server)
    with Client(server) as client:
        failed = client.get("/v2/last/tags/list").expect(404).need("X-Request-Id")
    wait_until(lambda: failed in server.log())
    server.stop()
    log = server.log()
    for secret in SECRETS.values():
        assert secret not in log
    assert base64.b64encode(f"user:{SECRETS['basic']}".encode()).decode() not in log
    assert "my-own.id_1" in log
    lines = log.splitlines()
    assert all(line.isprintable() for line in lines)
    if formatter == "text":
        access = [line for line in lines if re.match(r'127\.0\.0\.1 - \S+ \[[^]]+\] "[A-Z]+ .*" \d{3} \d+ "-" ', line)]
        assert all('service="registry"' in line for line in access)
        identifiers = [re.findall(r'" [\d.]+ (\S+)', line)[-1] for line in access]
    else:
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
        assert all(record["service"] == "registry" for record in records)
        name = "@timestamp" if formatter == "logstash" else "time"
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$", record[name]) for record in records)
        requests = [record for record in records if "http.request.method" in record]
        access = [json.dumps(record) for record in requests]
        identifiers = [record["http.request.id"] for record in requests]
        assert any("lo\ngged" in record["http.request.uri"] for record in requests)
    assert len(access) >= 14
    assert len(set(identifiers)) == len(identifiers)
    assert failed in identifiers


def test_what_is_said_about_the_configuration_is_json_too(serve: Serve) -> None:
    server = serve(config=logging({"formatter": "json"}, nosuchkey=1, reporting={"newrelic": {"name": "x"}}))
    said = [json.loads(line) for line in server.log().splitlines()]
    assert any("nosuchkey" in str(record) and record["level"] == "warning" for record in said)


@pytest.mark.parametrize("formatter", ["text", "json"])
def test_lines_of_two_workers_do_not_mix(serve: Serve, formatter: str) -> None:
    server = serve(config=logging({"formatter": formatter}))
    sent = 1500

    def ask(link: Link) -> None:
        for number in range(sent // 4):
            link.ask("GET", f"/v2/{'x' * (number % 150)}{number}/tags/list")

    links = [*one_each(server).values(), *one_each(server).values()]
    threads = [threading.Thread(target=ask, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for link in links:
        link.close()
    wait_until(lambda: server.log().count("/tags/list") >= sent)
    for line in server.log().splitlines():
        assert line.count("/tags/list") <= 1
        if formatter == "json":
            json.loads(line)


def test_the_access_log_can_be_switched_off(serve: Serve) -> None:
    server = serve(config=logging({"accesslog": {"disabled": True}}))
    with Client(server) as client:
        client.get("/v2/quiet/tags/list").expect(404)
    server.stop()
    assert "/v2/quiet" not in server.log()
    assert "moorage starts" in server.log()


def test_the_level_is_kept(serve: Serve) -> None:
    server = serve(config=logging({"level": "error", "accesslog": {"disabled": True}}))
    make_traffic(server)
    server.stop()
    assert server.log() == ""


# --- the debug listener


def fetch(port: int, path: str) -> tuple[int, str, bytes]:
    """Status, type and body of a GET to the debug listener."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection((HOST, port), 2).close()
    except OSError:
        return False
    return True


def debug(port: int, host: str = "localhost") -> dict[str, Any]:
    """A configuration with a debug listener."""
    return {"version": "0.1", "http": {"debug": {"addr": f"{host}:{port}"}}}


def test_the_debug_listener_has_metrics_of_all_workers_and_health(serve: Serve) -> None:
    port = free_port()
    server = serve(config=debug(port))
    wait_until(lambda: is_open(port))
    for link in one_each(server).values():
        for _ in range(5):
            link.ask("GET", "/v2/").expect(200)
        link.close()
    wait_until(lambda: requests_counted(fetch(port, "/metrics")[2].decode())["base", "GET", "200"] >= 10)
    status, kind, body = fetch(port, "/debug/health")
    assert (status, kind.partition(";")[0], json.loads(body)) == (200, "application/json", {})
    for path in ("/", "/v2/", "/debug/pprof/", "/metrics/", "/../../etc/passwd"):
        assert fetch(port, path)[0] == 404
    for number in range(40):  # more than it serves at once, none of which says a word
        silent = socket.create_connection((HOST, port), 5)
        if number % 2:
            silent.sendall(b"GET /metr")
        silent.close()
    wait_until(lambda: fetch(port, "/debug/health")[0] == 200)


def test_metrics_that_are_off_are_off_there_too(serve: Serve) -> None:
    port = free_port()
    config = debug(port)
    config["http"]["debug"]["prometheus"] = {"enabled": False}
    serve(config=config)
    wait_until(lambda: is_open(port))
    assert fetch(port, "/metrics")[0] == 404
    assert fetch(port, "/debug/health")[0] in {200, 503}


def test_a_debug_address_that_is_taken_stops_nothing_and_is_used_once_free(serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = serve(config=debug(port, HOST))
        with Client(server) as client:
            client.get("/v2/").expect(200)
        wait_until(lambda: "the debug listener cannot be opened" in server.log())
    wait_until(lambda: is_open(port) and fetch(port, "/debug/health")[0] == 200)


def test_health_of_the_debug_listener_says_so_when_no_worker_lives(tmp_path: Path) -> None:
    from moorage.http.debug import Answers
    from moorage.telemetry.metrics import Metrics

    answers = Answers(tmp_path, "/metrics")
    assert answers.to("/debug/health")[0] == 503
    assert json.loads(answers.to("/debug/health")[2]) == {"workers": "no worker process is alive"}
    assert answers.to("/metrics")[0] == 200
    assert Answers(tmp_path, "").to("/metrics")[0] == 404
    assert Metrics(tmp_path) is not None


def test_an_error_of_the_inside_is_in_the_log_and_not_in_the_answer(serve: Serve) -> None:
    """The bytes of a blob vanish behind the registry's back: what the client gets tells nothing of the disk."""
    server = serve(clean=False, config=logging({"formatter": "json"}))
    with Client(server) as client:
        content = b"layer" * 100_000
        client.push_image("broken", "v1", content)
        found = digest(content).partition(":")[2]
        (server.root / "docker/registry/v2/blobs/sha256" / found[:2] / found / "data").unlink()
        answer = client.get(f"/v2/broken/blobs/{digest(content)}", [("X-Request-Id", "the-failing-one")])
        assert answer.status >= 500
        assert answer.codes()
        assert str(server.root).encode() not in answer.body
        assert b"Error" not in answer.body
        assert answer.need("X-Request-Id") == "the-failing-one"
        client.push_manifest("broken", "v2", image(b"{}")).expect(201)

    def told() -> list[str]:
        return [line for line in server.log().splitlines() if "the-failing-one" in line and "request failed" in line]

    wait_until(told)
    (record,) = map(json.loads, told())
    assert f"{server.root}/docker/registry/v2/blobs/sha256/{found[:2]}/{found}/data" in record["reason"]
