"""Options and fixtures of the conformance suite.

The suite talks to a registry that somebody else started: `pytest tests/conformance --registry-url http://127.0.0.1:5000`.
Without that option nothing here is collected.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.conformance.client import Registry
from tests.conformance.steps import Place


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--registry-url", help="base URL of the registry, for example http://127.0.0.1:5000")
    group.addoption("--tls-ca", type=Path, help="certificate of the authority that an https registry is checked with")
    group.addoption("--login", help="user:password, where the registry asks for it")
    group.addoption("--spec", choices=["1.1", "dev"], default="dev", help="version of the specification")
    group.addoption("--sparse", action="store_true", help="the registry accepts manifests with absent content")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("--registry-url", None) is None else None


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The registry, with two repositories that nobody used before."""
    option = request.config.getoption
    registry = Registry(option("--registry-url"), option("--tls-ca"), option("--login"))
    space = "conformance-" + secrets.token_hex(4)
    yield Place(registry, f"{space}/repo1", f"{space}/repo2", option("--spec") == "dev", option("--sparse"))
    registry.close()


@pytest.fixture
def fresh(place: Place) -> Place:
    """The same registry, with repositories of the test's own."""
    space = "conformance-" + secrets.token_hex(4)
    return Place(place.registry, f"{space}/own", f"{space}/other", place.dev, place.sparse)


@pytest.fixture(autouse=True)
def _from_here(place: Place) -> None:
    """Forget the exchanges of the test before."""
    place.registry.exchanges.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the last exchanges with the registry beside a failure."""
    report = yield
    place = getattr(item, "funcargs", {}).get("place")
    if report.failed and isinstance(place, Place):
        report.sections.append(("exchanges with the registry", "\n\n".join(place.registry.exchanges)))
    return report
