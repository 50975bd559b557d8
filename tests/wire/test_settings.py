"""What an operator can set, seen from outside: prefix, host, switches, proxies, purging, a whole sample, variables."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.server import make_certificates
from tests.support.server import Server, serving
from tests.support.wire import OCI_MANIFEST, Client, Link, digest, image, wait_until
from tests.wire.conftest import Serve
from tests.wire.test_htpasswd import basic, entry

SAMPLE = Path(__file__).parents[1] / "unit/config/samples/annotated.yml"
DELETE_ON = {"delete": {"enabled": True}}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Trusts this machine and proxies in 10.0.0.0/8."""
    config = {"version": "0.1", "http": {"trustedproxies": ["127.0.0.1/32", "10.0.0.0/8"]}}
    with serving(tmp_path_factory.mktemp("proxied"), config=config, workers_wanted=1) as server:
        yield server


def access_line(server: Server, mark: str) -> str:
    """The line of the access log that holds a mark."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [line for line in server.log().splitlines() if mark in line]
        return bool(found)

    wait_until(look)
    return found[0]


def test_everything_under_a_prefix(serve: Serve) -> None:
    server = serve(
        config={"version": "0.1", "http": {"prefix": "/some/place/"}, "storage": DELETE_ON}, prefix="/some/place"
    )
    with Client(server) as client:
        client.get("/some/place/v2/").expect(200)
        for outside in ("/v2/", "/", "/some/placev2/", "/some/v2/", "/v2/a/tags/list"):
            nothing = json.loads(client.get(outside).expect(404).body)["errors"][0]
            assert nothing["detail"] == {"path": outside}
            assert nothing["message"].endswith(" /some/place/v2/.")
        inside = client.get("/some/place/v2/a/nothing/b").expect(404)
        assert json.loads(inside.body)["errors"][0]["detail"] == {"path": "/some/place/v2/a/nothing/b"}
        location = client.begin("prefixed")
        assert location.startswith("/some/place/v2/prefixed/blobs/uploads/")
        client.ask("PATCH", location, body=b"{").expect(202)
        wrong = client.ask("PATCH", location, [("Content-Range", "7-8")], b"{}").expect(416)
        assert wrong.need("Location") == location
        pushed = client.ask("PUT", f"{location}?digest={digest(b'{}')}", body=b"}").expect(201)
        assert pushed.need("Location") == f"/some/place/v2/prefixed/blobs/{digest(b'{}')}"
        client.get(pushed.need("Location")).expect(200)
        for tag in ("v1", "v2"):
            answer = client.push_manifest("prefixed", tag, image(b"{}")).expect(201)
            assert answer.need("Location").startswith("/some/place/v2/prefixed/manifests/sha256:")
        page = client.get("/some/place/v2/prefixed/tags/list?n=1").expect(200)
        assert page.need("Link") == '</some/place/v2/prefixed/tags/list?n=1&last=v1>; rel="next"'
        client.get("/some/place/v2/prefixed/tags/list?n=1&last=v1").expect(200)
        for path in ("/healthz", "/readyz", "/metrics"):  # under both, for probes that know of no prefix
            client.get(path).expect(200)
            client.get(f"/some/place{path}").expect(200)


def test_with_a_host_addresses_stay_relative(serve: Serve) -> None:
    server = serve(
        config={"version": "0.1", "http": {"host": "https://registry.example.com:8443", "relativeurls": False}}
    )
    with Client(server) as client:
        headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil")]
        answer = client.ask("POST", "/v2/hosted/blobs/uploads/", headers).expect(202)
        assert answer.need("Location").startswith("/v2/hosted/blobs/uploads/")
        client.push_image("hosted", "v1")
        client.push_manifest("hosted", "v2", image(b"{}")).expect(201)
        assert client.get("/v2/hosted/tags/list?n=1", headers).need("Link").startswith("</v2/hosted/tags/list?")


def test_a_browser_asks_ahead_without_credentials(serve: Serve, tmp_path: Path) -> None:
    """A CORS preflight: 200 with the configured headers, and nothing of what there is."""
    (tmp_path / "htpasswd").write_text(entry("alice", "a password", 5))
    cors = {"Access-Control-Allow-Origin": ["https://ui.example.com"], "Access-Control-Allow-Methods": ["GET, DELETE"]}
    config = {
        "version": "0.1",
        "http": {"headers": cors},
        "auth": {"htpasswd": {"realm": "Registry", "path": str(tmp_path / "htpasswd")}},
    }
    server = serve(config=config, workers_wanted=1)
    login = [basic("alice", "a password")]
    with Client(server) as client:
        client.ask("POST", f"/v2/there/blobs/uploads/?digest={digest(b'x')}", login, b"x").expect(201)
        manifest = image(b"x")
        client.ask("PUT", "/v2/there/manifests/v1", [*login, ("Content-Type", OCI_MANIFEST)], manifest).expect(201)
        asked = [("Origin", "https://ui.example.com"), ("Access-Control-Request-Method", "DELETE")]
        for name in ("there", "not/there", "NOT-A-NAME"):
            answer = client.ask("OPTIONS", f"/v2/{name}/manifests/v1", asked).expect(200)
            assert answer.need("Allow") == "DELETE, GET, HEAD, OPTIONS, PUT"
            assert answer.need("Access-Control-Allow-Origin") == "https://ui.example.com"
            assert answer.need("Access-Control-Allow-Methods") == "GET, DELETE"
            assert (answer.header("WWW-Authenticate"), answer.body) == (None, b"")
        assert client.ask("OPTIONS", "/v2/", asked).expect(200).need("Allow") == "GET, HEAD, OPTIONS"
        client.ask("OPTIONS", "/v2/there/nothing/v1", asked).expect(404)
        client.get("/v2/there/manifests/v1").expect(401)


def test_read_only_refuses_writes_and_serves_pulls(serve: Serve, tmp_path: Path) -> None:
    first = serve(config={"version": "0.1", "storage": DELETE_ON})
    with Client(first) as client:
        pushed = client.push_image("kept", "v1", b"layer")
        session = client.begin("kept")
    first.stop()
    first.config = {"version": "0.1", "storage": {**DELETE_ON, "maintenance": {"readonly": {"enabled": True}}}}
    first.start()
    layer = digest(b"layer")
    writes = [
        ("POST", "/v2/kept/blobs/uploads/", b""),
        ("POST", f"/v2/kept/blobs/uploads/?digest={layer}", b"layer"),
        ("POST", f"/v2/other/blobs/uploads/?mount={layer}&from=kept", b""),
        ("PATCH", session, b"bytes"),
        ("PUT", f"{session}?digest={layer}", b"layer"),
        ("DELETE", session, None),
        ("PUT", "/v2/kept/manifests/v2", image(b"{}", b"layer")),
        ("DELETE", "/v2/kept/manifests/v1", None),
        ("DELETE", f"/v2/kept/manifests/{pushed}", None),
        ("DELETE", f"/v2/kept/blobs/{layer}", None),
    ]
    with Client(first) as client:
        for method, target, body in writes:
            answer = client.ask(method, target, body=body)
            assert (method, target, answer.status) == (method, target, 405)
            assert answer.codes() == ["UNSUPPORTED"]
        for target in ("manifests/v1", f"manifests/{pushed}", f"blobs/{layer}", "tags/list", f"referrers/{pushed}"):
            client.get(f"/v2/kept/{target}").expect(200)
            assert client.get("/v2/_catalog").expect(200).json() == {"repositories": ["kept"]}
        client.get("/readyz").expect(200)


@pytest.mark.parametrize("config", [{"version": "0.1"}, {"version": "0.1", "storage": {"delete": {"enabled": False}}}])
def test_with_deleting_off_all_three_routes_refuse(serve: Serve, config: dict[str, Any]) -> None:
    server = serve(config=config)
    with Client(server) as client:
        pushed = client.push_image("kept", "v1", b"layer")
        layer = digest(b"layer")
        for target in (
            "manifests/v1",
            f"manifests/{pushed}",
            f"blobs/{layer}",
            "manifests/none",
            f"blobs/{digest(b'')}",
        ):
            assert client.ask("DELETE", f"/v2/kept/{target}").expect(405).codes() == ["UNSUPPORTED"]
        for target in ("manifests/v1", f"manifests/{pushed}", f"blobs/{layer}"):
            client.get(f"/v2/kept/{target}").expect(200)
        client.ask("DELETE", client.begin("kept")).expect(204)  # cancelling an upload is no deleting


def test_without_a_configuration_deleting_works(serve: Serve) -> None:
    with Client(serve()) as client:
        pushed = client.push_image("gone", "v1", b"layer")
        client.ask("DELETE", f"/v2/gone/manifests/{pushed}").expect(202)
        client.get("/v2/gone/manifests/v1").expect(404)


@pytest.mark.parametrize(
    ("trusted", "cases"),
    [
        (
            ["127.0.0.0/8"],
            {
                "203.0.113.7": "203.0.113.7",
                "1.1.1.1, 203.0.113.7": "203.0.113.7",
                "2001:db8::7": "2001:db8::7",
                "no address": "127.0.0.1",
                '1.2.3.4" 200 forged': "127.0.0.1",
            },
        ),
        (["127.0.0.0/8", "10.0.0.0/8"], {"203.0.113.7, 198.51.100.9, 10.1.2.3": "198.51.100.9"}),
        (["10.0.0.0/8"], {"203.0.113.7": "127.0.0.1"}),
        ([], {"203.0.113.7": "127.0.0.1"}),
    ],
)
def test_the_client_behind_trusted_proxies_stands_in_the_access_log(
    serve: Serve, trusted: list[str], cases: dict[str, str]
) -> None:
    server = serve(config={"version": "0.1", "http": {"trustedproxies": trusted}}, workers_wanted=1)
    with Client(server) as client:
        for number, (header, seen) in enumerate(cases.items()):
            client.get("/v2/", [("X-Forwarded-For", header), ("User-Agent", f"mark/{number}")]).expect(200)
            assert access_line(server, f"mark/{number}").startswith(f"{seen} - ")


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["9.9.9.9", "10.0.0.1"], "9.9.9.9"),
        (["1.1.1.1, 9.9.9.9", "10.0.0.2, 10.0.0.1"], "9.9.9.9"),
        (["9.9.9.9", "no address"], "127.0.0.1"),
        (["9.9.9.9:4711"], "9.9.9.9"),
        (["[2001:db8::7]:80"], "2001:db8::7"),
        (["[2001:DB8:0::7]", "10.0.0.1:65535"], "2001:db8::7"),
        (["::FFFF:9.9.9.9"], "9.9.9.9"),
        (["9.9.9.9", "::FFFF:10.0.0.1"], "9.9.9.9"),
        (["[::ffff:9.9.9.9]:80"], "9.9.9.9"),
    ],
)
def test_a_chain_of_several_lines_and_with_ports_is_one_chain(proxied: Server, lines: list[str], seen: str) -> None:
    mark = f"mark/{secrets.token_hex(8)}"
    with Client(proxied) as client:
        client.get("/v2/", [*(("X-Forwarded-For", line) for line in lines), ("User-Agent", mark)]).expect(200)
    assert access_line(proxied, mark).startswith(f"{seen} - ")


def test_abandoned_uploads_are_purged_by_age(serve: Serve) -> None:
    purging = {"enabled": True, "age": "2s", "interval": "1s"}
    server = serve(config={"version": "0.1", "storage": {"maintenance": {"uploadpurging": purging}}})
    folder = server.root / "uploads"
    with Client(server) as client:
        abandoned = client.begin("purged")
        client.ask("PATCH", abandoned, body=b"bytes" * 10_000).expect(202)
        small = client.begin("purged")
        client.ask("PATCH", small, body=b"bytes").expect(202)
        empty = client.begin("purged")
        alive = client.begin("purged")
        # What is there for no reason: bytes whose session is gone, and things that were never an upload.
        orphan, stray = folder / "00000000-0000-4000-8000-000000000000", folder / "stray.file"
        for file in (orphan, stray):
            file.write_bytes(b"x")
            os.utime(file, (1, 1))
        (folder / "stray.directory").mkdir()
        sent = 0

        def gone() -> bool:
            nonlocal sent
            client.ask("PATCH", alive, body=b"more" * 5000).expect(202)
            sent += 20_000
            return all(client.get(location).status == 404 for location in (abandoned, small, empty))

        wait_until(gone, within=8, every=0.3)
        for location in (abandoned, small, empty):
            client.ask("PATCH", location, body=b"late").expect(404)
            client.ask("PUT", f"{location}?digest={digest(b'bytes')}").expect(404)
        assert client.get(alive).expect(204).need("Range") == f"0-{sent - 1}", "one that is in use was touched"
        wait_until(lambda: not orphan.exists() and len(list(folder.iterdir())) == 3)
        client.ask("PUT", f"{alive}?digest={digest(b'more' * (sent // 4))}").expect(201)
    assert stray.is_file(), "what is no upload is not ours to remove"


@pytest.mark.parametrize(
    "purging", [{"enabled": False, "age": "1s", "interval": "1s"}, {"age": "1s", "interval": "1s", "dryrun": True}]
)
def test_purging_that_is_off_or_only_tried_removes_nothing(serve: Serve, purging: dict[str, Any]) -> None:
    server = serve(config={"version": "0.1", "storage": {"maintenance": {"uploadpurging": purging}}}, workers_wanted=1)
    with Client(server) as client:
        location = client.begin("kept")
        client.ask("PATCH", location, body=b"bytes").expect(202)
        if "dryrun" in purging:
            access_line(server, "would be purged")
        else:
            wait_until(lambda: server.log().count("HTTP/1.1") > 5 or client.get("/healthz").status != 200, every=0.5)
        assert client.get(location).expect(204).need("Range") == "0-4"


def test_the_limits_of_lists_and_manifests(serve: Serve) -> None:
    config = {
        "version": "0.1",
        "tags": {"maxtags": 3},
        "catalog": {"maxentries": 2},
        "registry": {"manifestlimit": "8KiB"},
    }
    with Client(serve(config=config)) as client:
        for name in ("a", "b", "c"):
            client.push_image(name, "v1")
        for tag in ("v2", "v3", "v4", "v5"):
            client.push_manifest("a", tag, image(b"{}")).expect(201)
        for query in ("", "?n=100"):
            page = client.get(f"/v2/a/tags/list{query}").expect(200)
            assert page.json()["tags"] == ["v1", "v2", "v3"]
            assert "last=v3" in page.need("Link")
        assert client.get("/v2/_catalog?n=50").expect(200).json()["repositories"] == ["a", "b"]
        large = image(b"{}", annotations={"a": "x" * 9000})
        assert client.push_manifest("a", "large", large).expect(413).codes() == ["MANIFEST_INVALID"]
        client.push_manifest("a", "fits", image(b"{}", annotations={"a": "x" * 7000})).expect(201)


def test_headers_of_the_operator_are_on_every_answer(serve: Serve) -> None:
    headers = {"X-Content-Type-Options": ["nosniff"], "X-Two": ["a", "b"], "Strict-Transport-Security": ["max-age=1"]}
    with Client(serve(config={"version": "0.1", "http": {"headers": headers}})) as client:
        for target in ("/v2/", "/v2/none/tags/list", "/nothing", "/readyz"):
            answer = client.get(target)
            assert answer.values("X-Two") == ["a", "b"]
            assert answer.values("X-Content-Type-Options") == ["nosniff"]
            assert answer.need("Strict-Transport-Security") == "max-age=1"


def test_headers_that_belong_to_one_answer_are_not_added(serve: Serve) -> None:
    headers = {
        "Transfer-Encoding": ["chunked"],
        "connection": ["close"],
        "Content-Length": ["7"],
        "Content-Type": ["text/html"],
        "Location": ["/elsewhere"],
        "Docker-Content-Digest": ["sha256:x"],
        "WWW-Authenticate": ["Basic realm=x"],
        "X-Mine": ["yes"],
    }
    server = serve(config={"version": "0.1", "http": {"headers": headers}})
    with Link(server.connect()) as link:
        for target, status in (("/v2/", 200), ("/v2/none/tags/list", 404), ("/v2/", 200)):
            answer = link.ask("GET", target).expect(status)
            assert answer.values("Content-Type") == ["application/json"]
            assert answer.values("Content-Length") == [str(len(answer.body))]
            assert answer.need("X-Mine") == "yes"
            for name in ("Transfer-Encoding", "Connection", "Location", "Docker-Content-Digest", "WWW-Authenticate"):
                assert answer.header(name) is None
    warned = access_line(server, "Transfer-Encoding")
    assert "Www-Authenticate" in warned
    assert "X-Mine" not in warned


def test_variables_are_laid_over_the_file(serve: Serve) -> None:
    environment = {
        "REGISTRY_STORAGE_DELETE_ENABLED": "true",
        "REGISTRY_HTTP_HEADERS_X-Own": "[yes]",
        "REGISTRY_LOG_FORMATTER": "json",
        "REGISTRY_HTTP_TRUSTEDPROXIES_0": "127.0.0.1/32",
        "REGISTRY_HTTP_SECRET": "a-secret-of-the-operator",
        "REGISTRY_NO_SUCH_THING": "a-mistyped-secret",
    }
    server = serve(config={"version": "0.1", "storage": {"delete": {"enabled": False}}}, environment=environment)
    with Client(server) as client:
        pushed = client.push_image("gone", "v1")
        client.ask("DELETE", f"/v2/gone/manifests/{pushed}", [("X-Forwarded-For", "203.0.113.5")]).expect(202)
        assert client.get("/v2/").need("X-Own") == "yes"
    assert '"203.0.113.5"' in access_line(server, "203.0.113.5")
    said = server.log()
    assert "REGISTRY_NO_SUCH_THING" in said
    assert "a-secret-of-the-operator" not in said
    assert "a-mistyped-secret" not in said


def test_the_annotated_sample_starts_the_server(serve: Serve, tmp_path: Path) -> None:
    """As people copy it: only paths, the port and services that are not there are changed."""
    config = yaml.safe_load(SAMPLE.read_text())
    certificates = make_certificates(tmp_path)
    users = tmp_path / "htpasswd"
    users.write_text(entry("somebody", "password", 5))
    config["storage"]["filesystem"]["rootdirectory"] = str(tmp_path / "data")
    config["http"]["tls"] |= {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    config["auth"]["htpasswd"]["path"] = str(users)
    server = serve(config=config, ca=certificates.ca, workers_wanted=None)
    with Client(server, [basic("somebody", "password")]) as client:
        client.get("/v2/").expect(200)
        pushed = client.push_image("reviewed/sample", "v1", os.urandom(100_000))
        assert client.get("/v2/").need("X-Content-Type-Options") == "nosniff"
        client.ask("DELETE", f"/v2/reviewed/sample/manifests/{pushed}").expect(202)
        client.ask("POST", "/v2/sample/blobs/uploads/").expect(403)  # its middleware allows reviewed/ only
    with Link(server.connect()) as link:
        realm = config["auth"]["htpasswd"]["realm"]
        assert link.ask("GET", "/v2/").expect(401).need("WWW-Authenticate") == f'Basic realm="{realm}"'
    for line in server.log().splitlines():
        if re.match(r"\S+config\.yml:\d+: ", line):
            assert re.match(r"\S+config\.yml:\d+: (info|warning): [\w.\[\]]+: \S+", line), line
            assert len(line) > 60, "a finding says what to do"


def test_a_configuration_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path) -> None:
    server = Server(tmp_path, config={"version": "0.1", "http": {"addr": "nonsense"}, "storage": {"nosuchdriver": {}}})
    server.launch()
    assert server.process is not None
    assert server.process.wait(15) != 0
    said = server.log()
    assert "Traceback" not in said
    assert re.search(r"config\.yml:\d+: error: ", said)
