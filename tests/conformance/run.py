"""All conformance runs in one go: `python -m tests.conformance.run` (what scripts/conformance.sh calls).

Moorage is started over http and over https, with default settings and with sparse manifests on, and twice more so that
it asks for a login: for a token, and for a password. Against each of the six the official suite runs as it is found on
this machine, and this folder's own suite for both versions of the specification. Everything has to pass; a skipped test
is a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conformance import official
from tests.conformance.counts import NoReport, Run, read, table
from tests.conformance.server import NotReady, Server, running

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SECONDS = 900
TRACEBACK = "Traceback (most recent call last)"


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def own(server: Server, folder: Path, spec: str, *, chosen: str | None) -> Run:
    """Run this folder's suite against a server."""
    report = folder / f"own-{spec}.xml"
    command = [sys.executable, "-m", "pytest", str(HERE), "-p", "no:xdist", "-p", "no:cacheprovider", "-q"]
    command += [
        "--registry-url",
        server.url,
        "--spec",
        spec,
        f"--junitxml={report}",
        "-o",
        "junit_logging=all",
    ]
    command += ["--tls-ca", str(server.ca)] if server.ca else []
    command += ["--sparse"] if server.sparse else []
    command += ["--login", server.login] if server.login else []
    command += ["-k", chosen] if chosen else []
    with (folder / f"own-{spec}.txt").open("wb") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    ended = f"pytest ended with {done.returncode}, see {folder}/own-{spec}.txt"
    problem = None if done.returncode == 0 else ended
    try:
        return Run("own", server.name, spec, read(report), problem)
    except NoReport as error:
        return Run("own", server.name, spec, None, problem or str(error))


def against(server: Server, folder: Path, suite: official.Suite | None, options: argparse.Namespace) -> Iterator[Run]:
    """Run both suites against one server, and look into its log afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if suite and not options.only_own:
            yield from official.run(suite, server, folder)
        if not options.only_official:
            for spec in ("1.1", "dev"):
                yield own(server, folder, spec, chosen=options.keyword)
    finally:
        if server.log:
            shutil.copy(server.log, folder / "server.log")
    if server.log and TRACEBACK in server.log.read_text(errors="replace"):
        yield Run("log", server.name, "-", None, f"a traceback in {folder}/server.log")


def servers(options: argparse.Namespace) -> Iterator[Server]:
    """Start the servers that are asked for, one after the other; each lives until the next is asked for."""
    if options.registry_url:
        name = options.registry_url + (" sparse" if options.sparse else "")
        yield Server(name, options.registry_url, options.tls_ca, options.sparse)
        return
    for tls in (False, True):
        for sparse in (False, True):
            if options.only_http and tls:
                continue
            with running(tls=tls, sparse=sparse, database=options.database) as server:
                yield server
    for login in ("token", "basic"):
        with running(tls=False, sparse=False, database=options.database, login=login) as server:
            yield server


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/conformance.sh", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--only-http", action="store_true", help="leave https out")
    parser.add_argument("--only-own", action="store_true", help="leave the official suite out")
    parser.add_argument("--only-official", action="store_true", help="leave this repository's own suite out")
    parser.add_argument("-k", dest="keyword", help="only tests of the own suite that match, as pytest -k")
    parser.add_argument("--registry-url", help="test a registry that runs already, not Moorage")
    parser.add_argument("--tls-ca", type=Path, help="authority of that registry's certificate")
    parser.add_argument("--sparse", action="store_true", help="that registry accepts sparse manifests")
    parser.add_argument("--reports", type=Path, default=ROOT / "build" / "conformance")
    return parser.parse_args()


def main() -> int:
    """Run everything, print a table, and return the exit status."""
    options = arguments()
    suite = official.find(Path(os.environ.get("TOOLS_BIN", ROOT / ".tools" / "bin")))
    runs: list[Run] = []
    if options.only_own:
        say("official suite: left out (--only-own)")
    elif suite is None:
        say("official suite: not found; tools/install.sh oci-conformance builds it")
        runs.append(Run("official", "-", "-", None, "the official suite is not installed"))
    else:
        say(f"official suite: {suite.title}")
    try:
        for number, server in enumerate(servers(options)):
            say(f"server: {server.name}, {server.url}")
            for run in against(server, options.reports / str(number), suite, options):
                runs.append(run)
                say(f"  {run.suite} {run.spec}: {'passed' if run.good else 'FAILED'}")
    except NotReady as error:
        runs.append(Run("server", "-", "-", None, str(error)))
    say()
    say(table(runs))
    for run in runs:
        if not run.good:
            say(f"\n{run.suite} {run.server} {run.spec}: {run.problem or 'not everything passed'}")
            for note in run.counts.notes if run.counts else ():
                say(f"  {note}")
    good = bool(runs) and all(run.good for run in runs)
    say(f"\nconformance: {'everything passed' if good else 'FAILED'}; reports in {options.reports}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
