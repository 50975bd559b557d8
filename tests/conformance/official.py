"""The official suite (Go module github.com/opencontainers/distribution-spec/conformance), as a program.

It is run once for each version of the specification that it knows, with everything switched on that it can ask for:
also what it leaves out by default because registries need not have it (digest headers, cancelled uploads, tag
parameters).
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.counts import NoReport, Run, read
from tests.conformance.server import Server

PROGRAM = "oci-conformance"
MODULE = rb"github\.com/opencontainers/distribution-spec/conformance"
SECONDS = 600

EVERYTHING = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
    "OCI_API_MANIFESTS_TAG_PARAM": "true",
}
"""Settings of the suite that are off by default, in one or both versions."""


@dataclass(frozen=True)
class Suite:
    """The official suite as found on this machine."""

    program: Path
    version: str

    @property
    def title(self) -> str:
        """How the suite is called in the output."""
        return f"module version {self.version}, {self.program}"


def find(tools: Path) -> Suite | None:
    """Return the suite that `OCI_CONFORMANCE` names, else the one in the folder, else None."""
    named = os.environ.get("OCI_CONFORMANCE")
    program = Path(named) if named else tools / PROGRAM
    if not program.is_file() or not os.access(program, os.X_OK):
        return None
    version = re.search(MODULE + rb"\t(v[0-9][^\t\n]*|\(devel\))", program.read_bytes())
    return Suite(program.resolve(), version[1].decode() if version else "unknown")


def run(suite: Suite, server: Server, folder: Path) -> Iterator[Run]:
    """Run the official suite against a registry: once for each version of the specification that it knows."""
    for spec in ("1.1", "dev"):
        results = folder / f"official-{spec}"
        environment = {
            "OCI_REGISTRY": urlsplit(server.url).netloc,
            "OCI_TLS": "enabled" if server.ca else "disabled",
            "OCI_VERSION": spec,
            "OCI_REPO1": f"official-{secrets.token_hex(4)}/repo1",
            "OCI_REPO2": f"official-{secrets.token_hex(4)}/repo2",
            "OCI_DATA_SPARSE": "true" if server.sparse else "false",
            "OCI_RESULTS_DIR": str(results),
            **({"SSL_CERT_FILE": str(server.ca)} if server.ca else {}),
            **_login(server),
            **EVERYTHING,
        }
        problem = _execute(suite, results, environment)
        yield _report("official", server.name, spec, results / "junit.xml", problem)


def _login(server: Server) -> dict[str, str]:
    """The environment that tells the suite who it is."""
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
            env={**clean, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
    return None if done.returncode == 0 else f"ended with status {done.returncode}, see {folder}/output.txt"
