"""The tree of errors: each has a code that clients know, the status they were tuned to, and a sentence."""

from __future__ import annotations

import inspect

import pytest

from moorage.core import errors
from moorage.core.errors import RegistryError, TooManyRequests, Unauthorized, Unavailable, UploadRangeInvalid

# Distribution specification, "Error Codes", the four that Distribution has beside them, and the management API's own.
CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
    "UNSUPPORTED", "TOOMANYREQUESTS", "UNKNOWN", "UNAVAILABLE", "PAGINATION_NUMBER_INVALID", "TAG_INVALID",
    "INVALID", "NOT_FOUND", "CONFLICT",
}  # fmt: skip
TREE = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, RegistryError)]
STATUSES = {
    "NameInvalid": 400, "TagInvalid": 400, "DigestInvalid": 400, "SizeInvalid": 400, "RangeNotSatisfiable": 416,
    "PaginationInvalid": 400, "ManifestInvalid": 400, "ManifestTooLarge": 413, "ManifestBlobUnknown": 400,
    "TooManyTags": 414, "NameUnknown": 404, "ManifestUnknown": 404, "BlobUnknown": 404, "UploadUnknown": 404,
    "UploadRangeInvalid": 416, "Unauthorized": 401, "Denied": 403, "Unsupported": 405, "PreconditionFailed": 412,
    "TooManyRequests": 429, "ReadOnly": 405, "Unavailable": 503, "StorageFull": 507, "RegistryError": 500,
    "Invalid": 422, "ObjectUnknown": 404, "Conflict": 409, "InsufficientScope": 401,
}  # fmt: skip


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_each_has_a_code_a_status_and_a_sentence(kind: type[RegistryError]) -> None:
    assert kind.code in CODES
    assert 400 <= kind.status <= 599
    assert kind.default.endswith(".")
    assert kind.default.isascii()


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_the_status_that_clients_were_tuned_to(name: str, status: int) -> None:
    assert getattr(errors, name).status == status


def test_an_own_sentence_takes_the_place_of_the_default() -> None:
    assert errors.NameInvalid().message == errors.NameInvalid.default
    error = errors.NameInvalid("No.", {"name": "x"})
    assert (error.message, str(error), error.detail) == ("No.", "No.", {"name": "x"})


def test_headers_that_an_answer_must_have() -> None:
    assert Unavailable().headers == (("retry-after", "5"),)
    assert TooManyRequests(retry_after=30).headers == (("retry-after", "30"),)
    assert UploadRangeInvalid(7).size == 7
    assert Unauthorized(challenge="Basic").challenge == "Basic"
