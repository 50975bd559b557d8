"""What every test may use. Fixtures of one folder stand in that folder's own conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.at_end import AT_END
from tests.support.postgres import PostgresCluster, shared_cluster
from tests.support.programs import must_not_skip, require_program

# No deadline: on a busy machine it says nothing about the code. CI tries the same examples each time.
hypothesis.settings.register_profile("moorage", deadline=None, derandomize=must_not_skip())
hypothesis.settings.load_profile("moorage")


def pytest_unconfigure() -> None:
    """End what this process started for all of its tests."""
    AT_END.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip (or fail, see require_program) a test marked `needs("program", ...)` where one is missing."""
    for mark in item.iter_markers("needs"):
        if not mark.args:
            pytest.fail("needs(...) without a program", pytrace=False)
        for name in mark.args:
            require_program(name)


@pytest.fixture(scope="session")
def postgres_cluster() -> PostgresCluster:
    """This test process's PostgreSQL; for wider scopes `with postgres_cluster.database() as url`."""
    return shared_cluster()


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """The address (postgresql://...) of a new, empty database, for one test."""
    with postgres_cluster.database() as url:
        yield url
