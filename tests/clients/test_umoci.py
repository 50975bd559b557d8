"""umoci works on layouts and leaves the transport to skopeo: what it changed has to arrive byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.images import Image
from tests.clients.registry import Registry
from tests.clients.shell import Shell

pytestmark = pytest.mark.usefixtures("root")


def credentials(registry: Registry, option: str) -> list[str]:
    if registry.account is None:
        return []
    return [option, f"{registry.account.user}:{registry.account.password}"]


def digest_in(layout: Path, tag: str) -> str:
    for entry in json.loads((layout / "index.json").read_text())["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return str(entry["digest"])
    raise AssertionError(f"no {tag} in {layout}")


def test_change_of_a_pulled_image(
    shell: Shell, registry: Registry, repository: str, small: Image, tmp_path: Path
) -> None:
    push = ["skopeo", "copy", "--preserve-digests", *credentials(registry, "--dest-creds")]
    pull = ["skopeo", "copy", "--preserve-digests", *credentials(registry, "--src-creds")]
    shell.run(*push, f"oci:{small.source}", f"docker://{registry.name(repository, '1')}")

    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    shell.run(*pull, f"docker://{registry.name(repository, '1')}", f"oci:{layout}:1")
    assert digest_in(layout, "1") == small.digest
    shell.run("umoci", "unpack", "--image", f"{layout}:1", bundle)
    assert (bundle / "rootfs" / "greeting").read_text() == "moored\n"
    (bundle / "rootfs" / "log").write_text("all is well\n")
    shell.run("umoci", "repack", "--image", f"{layout}:2", bundle)
    shell.run("umoci", "config", "--image", f"{layout}:2", "--config.label", "watch=night")

    shell.run(*push, f"oci:{layout}:2", f"docker://{registry.name(repository, '2')}")
    assert registry.digest(repository, "2") == digest_in(layout, "2") != small.digest
    again = tmp_path / "again"
    shell.run(*pull, f"docker://{registry.name(repository, '2')}", f"oci:{again}:2")
    assert digest_in(again, "2") == digest_in(layout, "2")
    shell.run("umoci", "unpack", "--image", f"{again}:2", tmp_path / "second")
    assert (tmp_path / "second" / "rootfs" / "log").read_text() == "all is well\n"
    assert registry.tags(repository) == ["1", "2"]
