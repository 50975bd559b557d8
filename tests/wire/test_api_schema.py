"""Schemathesis over the API's description, as an admin: no 5xx, and every answer is as the description says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from moorage.http.api.openapi import METHODS, document
from tests.support.api import ADMIN, ADMIN_PASSWORD, LOCAL, asking
from tests.support.server import Server, serving

DESCRIPTION = document()
OPERATIONS = sorted(
    (path, method) for path, operations in DESCRIPTION["paths"].items() for method in METHODS if method in operations
)
DATABASES = ("sqlite", "postgresql")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 4
"""Requests of each kind to each operation, other ones for each database: about a minute for all of them."""

SCHEMA: Any = schemathesis.openapi.from_dict(DESCRIPTION)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    """Wrong passwords by the hundred are no reason to wait here."""
    config = {"version": "0.1", "auth": {"local": {}}, "limits": {"logins": {"enabled": False}}}
    how: dict[str, Any] = {"config": config, "environment": LOCAL["environment"], "database": database_url}
    with serving(tmp_path_factory.mktemp("server"), **how, workers_wanted=1) as started:
        with asking(started) as admin:
            for name in ("one", "two", "three"):
                admin.make("/users", name=name)
                admin.make("/groups", name=name)
                admin.make("/robots", name=f"+{name}")
                admin.make("/tokens", name=name)
        yield started


def known(value: Any, wanted: bool) -> Any:
    """An id that an object may have, in place of one that none has."""
    return 1 + value % 5 if wanted and isinstance(value, int) else value


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_are_as_described(server: Server, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method.upper()]
    with requests.Session() as session:
        session.auth = HTTPBasicAuth(ADMIN, ADMIN_PASSWORD)

        @seed(f"20260101 {server.database_url[:8]}")
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), near=st.booleans())
        def ask(case: Any, near: bool) -> None:
            case.path_parameters = {name: known(value, near) for name, value in (case.path_parameters or {}).items()}
            answer = case.call(base_url=server.base, session=session)
            case.validate_response(answer, checks=CHECKS)

        ask()
