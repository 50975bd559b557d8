"""The management API: its routes in one application, problems as RFC 9457 has them, its own description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from moorage import __version__
from moorage.core.errors import Invalid, RegistryError
from moorage.core.strict_json import Ambiguous, check_members
from moorage.http.api.door import REQUEST
from moorage.http.api.errors import PROBLEM, BodyAmbiguous, problem, problem_of
from moorage.http.api.openapi import Index, Operation, describe
from moorage.http.api.routers import ROUTERS
from moorage.http.api.times import NO_MOMENT, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from moorage.http.api.who import Ask

PREFIX = "/api/v1"
DOCUMENT = f"{PREFIX}/openapi.json"

_NOT_AS_DESCRIBED = "The request does not fit the API's description; the places are named in `errors`."


def build(services: Mapping[type, object], ask: Ask, prefix: str = "") -> FastAPI:
    """The application.

    Args:
        services: the use cases by their class; those of a router that are missing make its routes fail, so that the
            wiring gives all of them.
        ask: says who asks.
        prefix: of all addresses, without a slash at the end, for the description.
    """
    application = FastAPI(
        title="Moorage",
        description="Management of the registry: accounts, projects, grants, the audit log.",
        version=__version__,
        openapi_url=DOCUMENT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        servers=[{"url": prefix or "/"}],
        generate_unique_id_function=_operation,
        dependencies=[Depends(_only_known_parameters), Depends(_no_member_twice)],
    )
    application.state.services = dict(services)
    application.state.ask = ask
    for router in ROUTERS:
        application.include_router(router, prefix=PREFIX)
    made = application.openapi
    application.openapi = lambda: describe(made())  # type: ignore[method-assign]
    application.state.index = Index(_operations(application))
    application.add_exception_handler(RegistryError, _raised)
    application.add_exception_handler(RequestValidationError, _not_valid)
    application.add_exception_handler(HTTPException, _no_route)
    application.add_exception_handler(Exception, _raised)
    return application


def _operations(application: FastAPI) -> Iterator[Operation]:
    """All operations, read from the routes: to make the whole description for that takes half a second."""
    for context in iter_route_contexts(application.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and context.path_format is not None:
            fields = get_flat_params(route.dependant)
            names = frozenset(field.alias for field in fields if isinstance(field.field_info, Query))
            yield Operation(route.name, context.path_format, frozenset(route.methods or ()), names)


def _operation(route: APIRoute) -> str:
    """Handlers have names that are unique over all routers: they are what generated clients call."""
    return route.name


async def _only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the operation does not have: a filter that is misspelt must not filter nothing."""
    index: Index = request.app.state.index
    unknown = sorted(set(request.query_params) - index.parameters(request.scope["route"].name))
    if unknown:
        raise Invalid(f"There is no query parameter {', '.join(unknown)[:200]} here.")


async def _no_member_twice(request: Request) -> None:
    """Refuse a body of which the first of two equal members counts for one reader, and the last for another."""
    try:
        check_members(await request.body())
    except Ambiguous as error:
        raise BodyAmbiguous from error


def _id(request: Request) -> str:
    ours = request.scope.get(REQUEST)
    return "" if ours is None else str(ours.id)


def _is_browser(request: Request) -> bool:
    return "sec-fetch-mode" in request.headers


async def _raised(request: Request, error: Exception) -> Response:
    status, headers, body = problem_of(error, _id(request), browser=_is_browser(request))
    return Response(body, status, headers)


async def _not_valid(request: Request, error: Exception) -> Response:
    """422 (400 for what is no moment) with the places; never with the values, which may be secrets."""
    found: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    errors = [{"place": _place(each["loc"]), "message": str(each["msg"])} for each in found]
    status = 400 if any(each["type"] == NO_MOMENT for each in found) else 422
    detail = WRITTEN if status == 400 else _NOT_AS_DESCRIBED
    body = problem(status, detail, code=Invalid.code, request_id=_id(request), errors=errors)
    return Response(body, status, media_type=PROBLEM)


def _place(location: tuple[object, ...]) -> str:
    return ".".join(str(part)[:100] for part in location[:10])


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, and what the framework refuses by itself."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for that
    index: Index = request.app.state.index
    headers: dict[str, str] = {}
    status, code, detail = error.status_code, "UNSUPPORTED", "The request cannot be understood."
    if status == 405:
        headers["allow"] = ", ".join(index.methods(request.url.path))
        detail = f"{request.method[:20]} is nothing that can be done here; see Allow."
    elif status == 404:
        detail = f"There is nothing at this address; {DOCUMENT} describes what there is."
    return Response(problem(status, detail, code=code, request_id=_id(request)), status, headers, media_type=PROBLEM)
