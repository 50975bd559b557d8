"""Parameters of the token endpoint and of pages, of a query and of a form alike, read strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from moorage.core.errors import RegistryError

if TYPE_CHECKING:
    from moorage.http.request import Request

MOST_BYTES = 64 * 1024
"""Of a body or a query; a job's OIDC token takes some thousand."""

MOST_PARAMETERS = 200

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class BadForm(RegistryError):
    """Parameters that cannot be understood."""

    code = "UNSUPPORTED"
    status = 400
    default = "The parameters cannot be understood."


class FormTooLarge(RegistryError):
    """More than MOST_BYTES."""

    code = "UNSUPPORTED"
    status = 413
    default = f"The parameters take more than {MOST_BYTES} bytes."


class Form:
    """Parameters by name.

    Args:
        data: `name=value&...`, percent-encoded UTF-8 with `+` for blanks (WHATWG URL, "application/x-www-form-
            urlencoded").

    Raises:
        BadForm, FormTooLarge: it is not.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MOST_BYTES:
            raise FormTooLarge
        parts = data.split(b"&") if data else []
        if len(parts) > MOST_PARAMETERS:
            raise BadForm(f"More than {MOST_PARAMETERS} parameters in one request.")
        self._found: dict[str, list[str]] = {}
        for part in parts:
            name, _, value = part.partition(b"=")
            self._found.setdefault(_text(name), []).append(_text(value))

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return self._found.get(name, [])

    def one(self, name: str) -> str:
        """The value of a parameter; empty where it is absent.

        Raises:
            BadForm: given several times, so that two programs could read two different values.
        """
        values = self.all(name)
        if len(values) > 1:
            raise BadForm(f"The parameter {name} is given several times.")
        return values[0] if values else ""


async def read_form(request: Request) -> Form:
    """The form in a body.

    Raises:
        BadForm, FormTooLarge: it is none, or too long.
    """
    kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != _MEDIA_TYPE:
        raise BadForm(f"A POST here needs Content-Type {_MEDIA_TYPE}.")
    announced = request.content_length()
    if announced is not None and announced > MOST_BYTES:
        raise FormTooLarge
    data = bytearray()
    async for piece in request.body():
        data += piece
        if len(data) > MOST_BYTES:
            raise FormTooLarge
    return Form(bytes(data))


def _text(data: bytes) -> str:
    if _BAD_ESCAPE.search(data):
        raise BadForm("A percent sign in a parameter is not followed by two hexadecimal digits.")
    try:
        return unquote_to_bytes(data.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise BadForm("A parameter is not UTF-8.") from None
