"""The official suite (Go module github.com/opencontainers/distribution-spec/conformance), as a program.

There are two of them. The present one is configured with `OCI_REGISTRY` and `OCI_VERSION`. The one before
(2023) is a ginkgo test binary configured with `OCI_ROOT_URL`; it knows no versions and no sparse manifests,
and some of its tests exclude one another, so it is run twice: once filling the registry by itself, once
with content that is there. A test of it counts as skipped when it was skipped in both runs.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.client import Registry
from tests.conformance.content import Blob, DataSet
from tests.conformance.counts import Counts, NoReport, Run, read
from tests.conformance.server import Server
from tests.conformance.steps import Place

PRESENT = "oci-conformance"
LEGACY = "oci-conformance-1.1-2023"
MODULE = rb"github\.com/opencontainers/distribution-spec/conformance"
SECONDS = 600

# The specification lets a registry answer a mount with 201 or 202. These run only in a registry that
# answers 202 where others of the suite have to see 201, so no registry can pass them and those.
ONLY_WITHOUT_MOUNTS = (
    "Cross-mounting of nonexistent blob should yield session id",
    "Cross-mounting without from, and automatic content discovery disabled should return a 202",
)


@dataclass(frozen=True)
class Suite:
    """The official suite as found on this machine."""

    program: Path
    legacy: bool
    version: str

    @property
    def title(self) -> str:
        """How the suite is called in the output."""
        kind = "the official suite of 2023 (ginkgo)" if self.legacy else "the official suite"
        return f"{kind}, module version {self.version}, {self.program}"


def find(tools: Path) -> Suite | None:
    """Return the suite that `OCI_CONFORMANCE` names, else the newest one in the folder, else None."""
    named = os.environ.get("OCI_CONFORMANCE")
    candidates = [Path(named)] if named else [tools / PRESENT, tools / LEGACY]
    for program in candidates:
        if program.is_file() and os.access(program, os.X_OK):
            content = program.read_bytes()
            version = re.search(MODULE + rb"\t(v[0-9][^\t\n]*|\(devel\))", content)
            return Suite(
                program.resolve(),
                legacy=b"github.com/onsi/ginkgo" in content,
                version=version[1].decode() if version else "unknown",
            )
    return None


def run(suite: Suite, server: Server, folder: Path) -> Iterator[Run]:
    """Run the official suite against a registry: once for each version of the specification that it knows."""
    if suite.legacy:
        yield _legacy(suite, server, folder / "official")
        return
    for spec in ("1.1", "dev"):
        environment = {
            "OCI_REGISTRY": urlsplit(server.url).netloc,
            "OCI_TLS": "enabled" if server.ca else "disabled",
            "OCI_VERSION": spec,
            "OCI_REPO1": f"official-{secrets.token_hex(4)}/repo1",
            "OCI_REPO2": f"official-{secrets.token_hex(4)}/repo2",
            "OCI_DATA_SPARSE": "true" if server.sparse else "false",
            "OCI_RESULTS_DIR": str(folder / f"official-{spec}"),
            **({"SSL_CERT_FILE": str(server.ca)} if server.ca else {}),
            **_login(server),
        }
        problem = _execute(suite, folder / f"official-{spec}", environment)
        yield _report("official", server.name, spec, folder / f"official-{spec}" / "junit.xml", problem)


def _login(server: Server) -> dict[str, str]:
    """The environment that tells either suite who it is."""
    if not server.login:
        return {}
    user, _, password = server.login.partition(":")
    return {"OCI_USERNAME": user, "OCI_PASSWORD": password}


def _report(name: str, server: str, spec: str, report: Path, problem: str | None) -> Run:
    try:
        return Run(name, server, spec, read(report), problem)
    except NoReport as error:
        return Run(name, server, spec, None, problem or str(error))


def _execute(suite: Suite, folder: Path, environment: dict[str, str]) -> str | None:
    """Run the program in a folder of its own; return what is wrong with how it ended."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
    with (folder / "output.txt").open("wb") as output:
        done = subprocess.run(
            [str(suite.program)],
            cwd=folder,
            env={**clean, "ACK_GINKGO_DEPRECATIONS": "1.16.5", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    return None if done.returncode == 0 else f"ended with status {done.returncode}, see {folder}/output.txt"


def _legacy(suite: Suite, server: Server, folder: Path) -> Run:
    space = f"official-{secrets.token_hex(4)}"
    common = {
        "OCI_ROOT_URL": server.url,
        **_login(server),
        "OCI_NAMESPACE": f"{space}/one",
        "OCI_CROSSMOUNT_NAMESPACE": f"{space}/two",
        "OCI_TEST_PULL": "1",
        "OCI_TEST_CONTENT_DISCOVERY": "1",
        "OCI_HIDE_SKIPPED_WORKFLOWS": "0",
        "OCI_DELETE_MANIFEST_BEFORE_BLOBS": "1",
        "OCI_REPORT_DIR": ".",
    }
    fills = {
        **common,
        "OCI_TEST_PUSH": "1",
        "OCI_TEST_CONTENT_MANAGEMENT": "1",
        "OCI_AUTOMATIC_CROSSMOUNT": "1",
    }
    try:
        there = _content(server, f"{space}/there")
    except (AssertionError, OSError, HTTPException) as error:
        return Run("official-2023", server.name, "-", None, f"its content could not be pushed: {error}")
    finds = {**common, "OCI_NAMESPACE": f"{space}/there", **there}
    problems = [
        _execute(suite, folder / name, environment) for name, environment in (("fills", fills), ("finds", finds))
    ]
    problem = next((problem for problem in problems if problem), None)
    try:
        counts = merged([folder / name / "junit.xml" for name in ("fills", "finds")])
    except NoReport as error:
        return Run("official-2023", server.name, "-", None, problem or str(error))
    return Run("official-2023", server.name, "-", counts, problem)


def _content(server: Server, repo: str) -> dict[str, str]:
    """Push an image with tags and return the settings by which the suite of 2023 finds it."""
    registry = Registry(server.url, server.ca, server.login)
    place = Place(registry, repo, repo, dev=False, sparse=False)
    data = DataSet("official")
    manifest = data.image()
    for digest, content in data.blobs.items():
        place.push(Blob(content, digest))
    tags = [f"tag{number}" for number in range(4)]
    for tag in tags:
        place.put_manifest(manifest, tag).expect(201)
    registry.close()
    return {
        "OCI_TAG_NAME": tags[0],
        "OCI_MANIFEST_DIGEST": manifest.digest,
        "OCI_BLOB_DIGEST": next(iter(data.blobs)),
        "OCI_TAG_LIST": ",".join(tags),
    }


def merged(reports: list[Path]) -> Counts:
    """Return the counts of several reports of one suite: failed if it failed in any, ran if in any.

    Raises:
        NoReport: one of them cannot be read.
    """
    states: dict[str, set[str]] = {}
    for report in reports:
        read(report)
        seen: dict[str, int] = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            name = case.get("name", "")
            seen[name] = seen.get(name, 0) + 1
            found = {child.tag for child in case} & {"failure", "error", "skipped"}
            states.setdefault(f"{name} #{seen[name]}", set()).update(found or {"passed"})
    failures = [name for name, state in states.items() if "failure" in state]
    errors = [name for name, state in states.items() if "error" in state and "failure" not in state]
    never = [name for name, state in states.items() if state == {"skipped"}]
    impossible = [name for name in never if name.rpartition(" #")[0].endswith(ONLY_WITHOUT_MOUNTS)]
    skipped = [name for name in never if name not in impossible]
    notes = [
        *(f"failure: {name}" for name in failures),
        *(f"error: {name}" for name in errors),
        *(f"skipped: {name}" for name in skipped),
    ]
    return Counts(len(states), len(failures), len(errors), len(skipped), len(impossible), notes=tuple(notes))
