"""The program from outside: start, several workers, draining, a taken port, a Unix socket, restarts.

Where the start itself or its end by a signal is what the test is about, the program is a new process (`warm=False`).
"""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.postgres import PostgresCluster, free_port
from tests.support.server import Server, ServerError
from tests.support.wire import Client, Closed, Link, digest, request, wait_until
from tests.support.workers import one_each
from tests.wire.conftest import Serve

MIB = 1 << 20


def refused(server: Server) -> bool:
    """Whether nobody listens any more."""
    try:
        server.connect(2.0).close()
    except ConnectionRefusedError:
        return True
    return False


def cpu_of_children() -> float:
    """What processes that were started here, and have ended, worked: all of it, whoever else is at work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_start_takes_less_than_a_second_and_a_half_of_work(serve: Serve) -> None:
    server = serve(warm=False)  # the first start makes the database
    server.stop()
    least = 99.0
    for _ in range(3):
        began = cpu_of_children()
        server.start()
        assert server.stop() == 0
        least = min(least, cpu_of_children() - began)
    assert least < 1.5
    server.start()


def test_every_worker_serves_and_sees_the_same(serve: Serve) -> None:
    server = serve(workers_wanted=3)
    assert len(server.workers()) == 3
    links = one_each(server)
    with Client(server) as client:
        client.push_image("shared", "v1", b"layer")
    for link in links.values():
        assert link.ask("GET", "/v2/shared/tags/list").expect(200).json()["tags"] == ["v1"]
        link.close()


def test_running_requests_end_well_after_sigterm(serve: Serve) -> None:
    server = serve(warm=False)
    content = os.urandom(MIB) * 20
    with Client(server) as client:
        found = client.push_blob("drain", content)
        locations = [client.begin("drain") for _ in range(4)]
    pulls = [Link(server.connect()) for _ in range(4)]
    for pull in pulls:
        pull.send(request("GET", f"/v2/drain/blobs/{found}"))
    heads = [pull.head().expect(200) for pull in pulls]
    small = os.urandom(3 * MIB)
    whole = [request("PUT", f"{location}?digest={digest(small)}", body=small) for location in locations]
    pushes = [Link(server.connect()) for _ in range(4)]
    for push, data in zip(pushes, whole, strict=True):
        push.send(data[: len(data) // 3])
    idle = [Link(server.connect()) for _ in range(4)]
    for link in idle:
        link.ask("GET", "/v2/").expect(200)

    ended: list[int] = []
    stopping = threading.Thread(target=lambda: ended.append(server.stop()))
    stopping.start()
    wait_until(lambda: refused(server))
    time.sleep(0.5)
    assert not ended, "it did not wait for the running requests"
    for link in idle:
        assert link.ended(), "an idle connection must not hold the end up"
    for push, data in zip(pushes, whole, strict=True):
        push.send(data[len(data) // 3 :])
        push.answer("PUT").expect(201)
    for pull, head in zip(pulls, heads, strict=True):
        assert digest(pull.body(head)) == found
    stopping.join(20)
    assert ended == [0]
    for link in (*pulls, *pushes, *idle):
        link.close()
    server.start()
    with Client(server) as client:
        assert client.get(f"/v2/drain/blobs/{digest(small)}").expect(200).body == small


def test_what_does_not_end_is_cut_off_after_the_drain_time(serve: Serve) -> None:
    server = serve(config={"version": "0.1", "http": {"draintimeout": "1s"}}, clean=False)
    with Client(server) as client:
        location = client.begin("drain")
    with Link(server.connect()) as stuck:
        stuck.send(request("PATCH", location, body=b"x" * 4 * MIB)[: 3 * MIB])
        file = server.root / "uploads" / location.rpartition("/")[2]
        wait_until(file.exists)
        began = time.monotonic()
        server.stop()
        assert 0.5 < time.monotonic() - began < 20
    server.start()
    with Client(server) as client:
        assert client.get(location).expect(204).need("Range") == f"0-{file.stat().st_size - 1}"


def test_sigterm_while_requests_pour_in_loses_none_that_was_answered(serve: Serve) -> None:
    """Each client pushes one small blob after another until it is refused; all that were acknowledged are there."""
    server = serve()
    acknowledged: list[bytes] = []
    strange: list[str] = []

    def push(number: int) -> None:
        with Client(server) as client:
            for count in range(10_000):
                content = f"{number} {count}".encode()
                try:
                    client.push_blob("pouring", content)
                except (OSError, Closed):
                    return
                except AssertionError as error:
                    strange.append(str(error))
                    return
                acknowledged.append(content)

    with ThreadPoolExecutor(6) as pool:
        for number in range(6):
            pool.submit(push, number)
        wait_until(lambda: len(acknowledged) > 100)
        assert server.stop() == 0
    assert not strange
    server.start()
    with Client(server) as client:
        for content in acknowledged:
            client.ask("HEAD", f"/v2/pouring/blobs/{digest(content)}").expect(200)


def test_a_taken_port_is_said_in_one_sentence(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    second = Server(tmp_path / "second", port=server.port)
    second.launch()
    assert second.process is not None
    assert second.process.wait(10) == 1
    said = second.log()
    assert f"127.0.0.1:{server.port} cannot be listened on" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.startswith("moorage:")]) == 1
    with Client(server) as client:
        client.get("/v2/").expect(200)


def test_the_name_of_this_machine_is_listened_on(serve: Serve) -> None:
    port = free_port()
    config = {"version": "0.1", "http": {"addr": f"localhost:{port}"}}
    server = serve(config=config, port=port, arguments=["--host", "localhost"])
    with Client(server) as client:
        client.get("/v2/").expect(200)


def test_a_name_that_nobody_knows_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="ended with 1"):
        Server(tmp_path, arguments=["--host", "registry.invalid", "--auth", "none"]).start()
    said = Server(tmp_path).log()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("moorage: registry.invalid:")


def test_a_root_that_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where a directory is needed")
    with pytest.raises(ServerError, match="ended with 1"):
        Server(tmp_path).start()
    said = Server(tmp_path).log()
    assert "Traceback" not in said
    assert str(tmp_path / "root") in said.splitlines()[-1]


def test_a_file_of_users_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a directory is needed")
    missing = tmp_path / "file" / "htpasswd"
    config = {"version": "0.1", "auth": {"htpasswd": {"realm": "Registry", "path": str(missing)}}}
    with pytest.raises(ServerError, match="ended with 1"):
        Server(tmp_path, config=config).start()
    said = Server(tmp_path).log()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith(f"moorage: {missing} is missing and cannot be made (")


def test_a_database_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    secret = "not-for-logs"
    url = f"postgresql://somebody:{secret}@127.0.0.1:1/none"
    with pytest.raises(ServerError, match="ended with 1"):
        Server(tmp_path, environment={"REGISTRY_DATABASE_URL": url}).start()
    said = Server(tmp_path).log()
    assert "Traceback" not in said
    assert "database" in said.splitlines()[-1]
    assert secret not in said


def test_two_programs_on_one_postgresql_serve_the_same(
    serve: Serve, postgres_cluster: PostgresCluster, postgres_url: str
) -> None:
    """Bytes on a shared filesystem, facts in PostgreSQL: what one answers, the other answers."""
    environment = {"REGISTRY_DATABASE_URL": postgres_url}
    first = serve(environment=environment, workers_wanted=1)
    second = serve(environment=environment, workers_wanted=1, arguments=["--root", str(first.root)])
    with Client(first) as one, Client(second) as two:
        content = os.urandom(100_000)
        location = one.begin("both")
        one.ask("PATCH", location, body=content[:50_000]).expect(202)
        two.ask("PATCH", location, [("Content-Range", "50000-99999")], content[50_000:]).expect(202)
        one.ask("PUT", f"{location}?digest={digest(content)}").expect(201)
        assert two.get(f"/v2/both/blobs/{digest(content)}").expect(200).body == content
        two.push_image("both", "v1", content)
        one.get("/v2/both/manifests/v1").expect(200)
        one.ask("DELETE", "/v2/both/manifests/v1").expect(202)
        two.get("/v2/both/manifests/v1").expect(404)


def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "moorage.sock"
    config = {"version": "0.1", "http": {"net": "unix", "addr": str(path)}, "storage": {"delete": {"enabled": True}}}
    server = serve(config=config, unix=path)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.stat().st_mode & 0o007, "not for everybody on the machine"
    with Client(server) as client:
        pushed = client.push_image("local", "v1", os.urandom(200_000))
        assert client.get("/v2/local/manifests/v1").expect(200).need("Docker-Content-Digest") == pushed
        for _ in range(20):
            client.close()
            client.get("/v2/").expect(200)
    assert server.stop() == 0
    server.start()  # a socket that was left over is in nobody's way
    with Client(server) as client:
        client.get("/v2/local/manifests/v1").expect(200)


def test_memory_storage_serves_and_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve(config={"version": "0.1", "storage": {"inmemory": {}, "delete": {"enabled": True}}})
    assert len(server.workers()) == 1
    with Client(server) as client:
        content = os.urandom(300_000)
        pushed = client.push_image("memory", "v1", content)
        assert client.get(f"/v2/memory/blobs/{digest(content)}").expect(200).body == content
        client.ask("DELETE", f"/v2/memory/manifests/{pushed}").expect(202)
    server.stop()
    server.start()
    with Client(server) as client:
        client.get("/v2/memory/tags/list").expect(404)
    assert not server.root.exists()


def test_a_killed_worker_is_replaced_while_the_others_serve(serve: Serve) -> None:
    server = serve(clean=False)
    victim = server.workers()[0]
    os.kill(victim, 9)
    wait_until(lambda: len(set(server.workers()) - {victim}) == 2)
    for link in one_each(server).values():
        link.ask("GET", "/readyz").expect(200)
        link.close()
    assert server.stop() == 0


def test_the_supervisors_death_ends_the_workers(serve: Serve) -> None:
    server = serve(clean=False, warm=False)
    workers = server.workers()
    os.kill(server.pid, 9)
    assert server.process is not None
    server.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert refused(server)
    server.start()


def test_sigint_ends_it_like_sigterm(tmp_path: Path) -> None:
    server = Server(tmp_path, warm=False).start()
    assert server.process is not None
    server.process.send_signal(2)
    assert server.process.wait(10) == 0
    assert "Traceback" not in server.log()


def test_sigterm_right_after_the_start_ends_it(tmp_path: Path) -> None:
    for number, delay in enumerate((0.05, 0.3, 0.5, 0.7)):
        server = Server(tmp_path / str(number), warm=False)
        server.launch()
        time.sleep(delay)
        assert server.stop(10) in {0, -15, 143}
        assert "Traceback" not in server.log()


def test_sigterm_right_after_ready_ends_it_at_once(tmp_path: Path) -> None:
    """One worker answers while another one is still starting: neither may miss the signal."""
    server = Server(tmp_path, warm=False)
    for _ in range(6):
        server.start()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15, "it waited as if something were to be drained"


def test_nothing_but_loopback_is_listened_on(serve: Serve) -> None:
    server = serve()
    found = subprocess.run(["ss", "-Hltn"], check=True, capture_output=True, text=True).stdout
    mine = [line.split()[3] for line in found.splitlines() if line.split()[3].endswith(f":{server.port}")]
    assert set(mine) == {f"127.0.0.1:{server.port}"}


def test_help_and_version_take_no_time() -> None:
    program = str(Path(sys.executable).with_name("moorage"))
    for option in ("--help", "--version"):
        began = cpu_of_children()
        done = subprocess.run([program, option], check=True, capture_output=True, text=True)
        assert "oorage" in done.stdout
        assert cpu_of_children() - began < 3


def test_ipv6_loopback(serve: Serve) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback address")
    server = serve(arguments=["--host", "127.0.0.1"])
    six = Server(server.folder.parent / "six", arguments=["--host", "::1"])
    six.launch()
    try:

        def answers() -> bool:
            try:
                with Link(socket.create_connection(("::1", six.port), 5)) as link:
                    return link.ask("GET", "/readyz").status == 200
            except OSError:
                return False

        wait_until(answers)
    finally:
        assert six.stop() == 0
