"""The one tree of errors.

Raised with meaning anywhere, turned into an HTTP answer in one place (`moorage.http.errors`). Each class carries the
OCI error code and the HTTP status that clients were tuned to; the message is a sentence for the person who sees it.

    RegistryError
    ├── names and input: NameInvalid, TagInvalid, DigestInvalid, SizeInvalid, PaginationInvalid, ManifestInvalid, ...
    ├── absent: NameUnknown, ManifestUnknown, BlobUnknown, UploadUnknown
    ├── refused: Unauthorized, InsufficientScope, Denied, Unsupported, PreconditionFailed, TooManyRequests
    ├── upload: UploadRangeInvalid, UploadBusy, UploadInvalid
    ├── the management API: Invalid, ObjectUnknown, Conflict
    └── ours: Unavailable (a dependency), StorageFull
"""

from __future__ import annotations

import errno
from typing import ClassVar

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class RegistryError(Exception):
    """Something that is answered with a JSON error. `detail` is any JSON value that helps a program.

    `headers` are added to the answer.
    """

    code: ClassVar[str] = "UNKNOWN"
    status: ClassVar[int] = 500
    default: ClassVar[str] = "The registry could not answer; the operator finds the reason in its log."

    def __init__(
        self,
        message: str | None = None,
        detail: object = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.message = message or self.default
        self.detail = detail
        self.headers = headers
        super().__init__(self.message)


class NameInvalid(RegistryError):
    """A repository name outside the grammar."""

    code = "NAME_INVALID"
    status = 400
    default = "The repository name is not valid."


class TagInvalid(RegistryError):
    """A tag outside the grammar."""

    code = "TAG_INVALID"
    status = 400
    default = "The tag is not valid."


class DigestInvalid(RegistryError):
    """A digest outside the grammar, of an unknown algorithm, or not that of the content."""

    code = "DIGEST_INVALID"
    status = 400
    default = "The digest is not valid or does not match the content."


class SizeInvalid(RegistryError):
    """A length that does not fit the content."""

    code = "SIZE_INVALID"
    status = 400
    default = "The length given does not match the content."


class RangeNotSatisfiable(RegistryError):
    """A `Range` of a GET that lies outside the content (RFC 9110 section 15.5.17)."""

    code = "SIZE_INVALID"
    status = 416
    default = "The range lies outside the content."


class PaginationInvalid(RegistryError):
    """`n` of a list is no number."""

    code = "PAGINATION_NUMBER_INVALID"
    status = 400
    default = "The number of results asked for (n) must be a whole number that is not negative."


class ManifestInvalid(RegistryError):
    """A manifest that is no manifest."""

    code = "MANIFEST_INVALID"
    status = 400
    default = "The manifest is not valid."


class ManifestTooLarge(RegistryError):
    """A manifest over the limit; answered while it is being read."""

    code = "MANIFEST_INVALID"
    status = 413
    default = "The manifest is larger than this registry accepts."


class ManifestBlobUnknown(RegistryError):
    """A manifest names content that the repository does not have."""

    code = "MANIFEST_BLOB_UNKNOWN"
    status = 400
    default = "The manifest names content that this repository does not have; push that first."


class TooManyTags(RegistryError):
    """More `tag` parameters than accepted (distribution specification, end-7b: 414)."""

    code = "TAG_INVALID"
    status = 414
    default = "Too many tags in one request; push the manifest again with the rest of them."


class NameUnknown(RegistryError):
    """No such repository, or none that the asker may see."""

    code = "NAME_UNKNOWN"
    status = 404
    default = "This repository is not known here."


class ManifestUnknown(RegistryError):
    """No such manifest or tag in the repository."""

    code = "MANIFEST_UNKNOWN"
    status = 404
    default = "This manifest is not known in this repository."


class BlobUnknown(RegistryError):
    """No such blob in the repository."""

    code = "BLOB_UNKNOWN"
    status = 404
    default = "This blob is not known in this repository."


class UploadUnknown(RegistryError):
    """No such upload session: never begun here, finished, cancelled or purged."""

    code = "BLOB_UPLOAD_UNKNOWN"
    status = 404
    default = "This upload is not known here; start a new one."


class UploadInvalid(RegistryError):
    """An upload request that cannot be understood."""

    code = "BLOB_UPLOAD_INVALID"
    status = 400
    default = "The upload request is not valid."


class UploadRangeInvalid(RegistryError):
    """A chunk that does not continue the upload where it stands (416; the session lives on).

    Args:
        size: bytes that the session holds.
    """

    code = "BLOB_UPLOAD_INVALID"
    status = 416
    default = "The chunk does not continue the upload where it stands; resume after the Range of this answer."

    def __init__(self, size: int) -> None:
        super().__init__(detail={"size": size})
        self.size = size


class UploadBusy(RegistryError):
    """Another request is writing to the same session; it wins."""

    code = "BLOB_UPLOAD_INVALID"
    status = 409
    default = "Another request is writing to this upload; ask for its status and resume from there."


class UploadInterrupted(RegistryError):
    """The client left in the middle of a body. What arrived is kept; nobody reads this answer."""

    code = "BLOB_UPLOAD_INVALID"
    status = 400
    default = "The request ended before its body did; ask for the upload's status and resume from there."


class Unauthorized(RegistryError):
    """No credentials, wrong ones, or a token that does not allow it.

    `challenge` is the WWW-Authenticate value; where it is empty, the door makes one with `scope` and `error`.
    """

    code = "UNAUTHORIZED"
    status = 401
    default = "Authentication is required."

    def __init__(
        self,
        message: str | None = None,
        detail: object = None,
        challenge: str = "",
        *,
        scope: str = "",
        error: str = "",
    ) -> None:
        super().__init__(message, detail)
        self.challenge = challenge
        self.scope = scope
        self.error = error


class InsufficientScope(Unauthorized):
    """A token that is good, and does not allow this: the client can ask for one that does."""

    code = "DENIED"
    default = "The token does not allow this; ask for one with the scope of the challenge."


class Denied(RegistryError):
    """Known, but not allowed."""

    code = "DENIED"
    status = 403
    default = "The requested access is denied."


class Unsupported(RegistryError):
    """The operation is switched off or does not exist."""

    code = "UNSUPPORTED"
    status = 405
    default = "This operation is not supported here."


class RouteUnknown(RegistryError):
    """No such address in this program."""

    code = "UNSUPPORTED"
    status = 404
    default = "There is nothing at this address; the registry API begins at /v2/."


class PreconditionFailed(RegistryError):
    """`If-Match` or `If-None-Match` of a manifest PUT did not hold."""

    code = "DENIED"
    status = 412
    default = "The tag is not (or no longer) what the condition of this request says."


class TooManyRequests(RegistryError):
    """Asked too often; `retry_after` in seconds."""

    code = "TOOMANYREQUESTS"
    status = 429
    default = "Too many requests; try again later."

    def __init__(self, message: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, headers=(("retry-after", str(retry_after)),))
        self.retry_after = retry_after


class RequestTimeout(RegistryError):
    """The body stood still for too long."""

    code = "UNSUPPORTED"
    status = 408
    default = "The body of the request stood still for too long; send the request again."


class UploadTimeout(RequestTimeout):
    """That of an upload; what arrived in a session is kept."""

    code = "BLOB_UPLOAD_INVALID"


class ManifestTimeout(RequestTimeout):
    """That of a manifest, of which nothing is kept."""

    code = "MANIFEST_INVALID"


class ReadOnly(RegistryError):
    """Writes are switched off for maintenance (`storage.maintenance.readonly`)."""

    code = "UNSUPPORTED"
    status = 405
    default = "The registry is in read-only mode."


class Invalid(RegistryError):
    """What the management API was given cannot be: a name, a password, a date. The message says what can."""

    code = "INVALID"
    status = 422
    default = "The request cannot be carried out as it is written."


class ObjectUnknown(RegistryError):
    """No such user, group, robot, token, grant, ... or none that the asker may see; the two look the same."""

    code = "NOT_FOUND"
    status = 404
    default = "There is no such object, or it is not yours to see."


class Conflict(RegistryError):
    """What is there already, or what must stay, is in the way."""

    code = "CONFLICT"
    status = 409
    default = "This is there already, or something else is in the way."


class Unavailable(RegistryError):
    """A dependency (database, storage) does not answer; never a 404, which would make clients upload again."""

    code = "UNAVAILABLE"
    status = 503
    default = "The registry cannot reach its storage or database at the moment; try again."

    def __init__(self, message: str | None = None, retry_after: int = 5) -> None:
        super().__init__(message, headers=(("retry-after", str(retry_after)),))


class StorageFull(RegistryError):
    """No room for more bytes; what is there can be read, and pushes work again as soon as there is room."""

    code = "UNAVAILABLE"
    status = 507
    default = "The registry's storage is full; what is there can be pulled, pushes work again once there is room."


def meaning_on_disk(error: OSError) -> StorageFull | Unavailable:
    """What a system call on a file that we keep ourselves says to whoever asked; a used up quota is a full disk."""
    return StorageFull() if error.errno in _NO_ROOM else Unavailable()
