"""The operations of a client, each with what can be seen before it, after it, and when it was cut off.

`test_nth_failure` lets the N-th system call of each fail, `test_named_kills` kills the program at each point of each.
"""

from __future__ import annotations

from typing import ClassVar

from tests.crash.client import Answer, Client, Manifest, content, digest_of, image, index


class Operation:
    """One change in a repository of its own.

    Args:
        number: makes its names and contents unlike those of any other.
    """

    name: ClassVar[str]
    success: ClassVar[int]

    def __init__(self, number: int) -> None:
        self.number = number
        self.repository = f"{self.name}/r{number}"

    def prepare(self, client: Client) -> None:
        """Make what must be there before."""

    def act(self, client: Client) -> Answer:
        """The one request that may fail."""
        raise NotImplementedError

    def seen(self, client: Client) -> object:
        """What a client sees now."""
        raise NotImplementedError

    def before(self) -> object:
        """What is seen when it was not done."""
        raise NotImplementedError

    def done(self) -> object:
        """What is seen when it was done."""
        raise NotImplementedError

    def is_undone(self, seen: object) -> bool:
        """Whether what is seen is an acceptable "not done"."""
        return seen == self.before()

    def again(self, client: Client) -> None:
        """What a client does after a refusal or a lost connection; it must succeed."""
        answer = self.act(client)
        assert answer.status == self.success, answer

    def bytes_of(self, what: str, size: int) -> bytes:
        """Contents that only this operation has."""
        return content((self.name, self.number, what), size)


class Upload(Operation):
    """A blob in two pieces that a file is written for; seen is the blob and how far the session is (None: gone)."""

    success = 201
    first = 20_000
    size = 30_000

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.data = self.bytes_of("blob", self.size)
        self.digest = digest_of(self.data)
        self.session = ""

    def prepare(self, client: Client) -> None:
        self.session = client.begin(self.repository)
        if self.first:
            answer = client.patch(self.session, 0, self.data[: self.first])
            assert answer.status == 202, answer

    def seen(self, client: Client) -> object:
        size = client.session_size(self.session) if self.session else None
        return client.blob(self.repository, self.digest), size

    def before(self) -> object:
        return None, self.first

    def done(self) -> object:
        return self.data, None

    def is_undone(self, seen: object) -> bool:
        """The blob is absent; the session has at least what was acknowledged, or is gone."""
        assert isinstance(seen, tuple)
        blob, held = seen
        return blob is None and (held is None or self.first <= held <= self.size)

    def again(self, client: Client) -> None:
        """Go on where the session says that it is; where it is gone, push anew."""
        size = client.session_size(self.session) if self.session else None
        if size is None:
            client.push_blob(self.repository, self.data)
            return
        if size < len(self.data):
            answer = client.patch(self.session, size, self.data[size:])
            assert answer.status == 202, answer
        answer = client.finish(self.session, self.digest)
        assert answer.status == 201, answer


class BeginUpload(Upload):
    """POST of a session."""

    name = "begin"
    success = 202
    first = 0

    def prepare(self, client: Client) -> None:
        pass

    def act(self, client: Client) -> Answer:
        answer = client.post(f"/v2/{self.repository}/blobs/uploads/")
        self.session = answer.headers.get("location", "")
        return answer

    def before(self) -> object:
        return None, None

    def done(self) -> object:
        return None, 0


class Patch(Upload):
    """PATCH of the rest."""

    name = "patch"
    success = 202

    def act(self, client: Client) -> Answer:
        return client.patch(self.session, self.first, self.data[self.first :])

    def done(self) -> object:
        return None, self.size


class PutRest(Upload):
    """PUT with the rest of the bytes."""

    name = "put-rest"

    def act(self, client: Client) -> Answer:
        return client.finish(self.session, self.digest, self.data[self.first :])


class PutEmpty(Upload):
    """PUT without a body, after all bytes."""

    name = "put-empty"
    first = Upload.size

    def act(self, client: Client) -> Answer:
        return client.finish(self.session, self.digest)


class PutWhole(Upload):
    """PUT of everything, as containerd does it; large enough for several writes."""

    name = "put-whole"
    first = 0
    size = 1_300_000

    def act(self, client: Client) -> Answer:
        return client.finish(self.session, self.digest, self.data)


class PostWhole(Upload):
    """POST of everything."""

    name = "post-whole"
    first = 0

    def prepare(self, client: Client) -> None:
        pass

    def act(self, client: Client) -> Answer:
        return client.post(f"/v2/{self.repository}/blobs/uploads/?digest={self.digest}", self.data)

    def before(self) -> object:
        return None, None


class PatchSmall(Patch):
    """PATCH of the rest of so little that the session's row holds it."""

    name = "patch-small"
    first = 10
    size = 30


class Outgrow(Patch):
    """PATCH of more than the row, which has the first bytes, can hold."""

    name = "outgrow"
    first = 10


class PutSmall(PutEmpty):
    """PUT without a body, after all bytes, which the row holds."""

    name = "put-small"
    first = 30
    size = 30


class PutOutgrown(PutRest):
    """PUT with more than the row can hold."""

    name = "put-outgrown"
    first = 10


class PostSmall(PostWhole):
    """POST of everything, and it is little."""

    name = "post-small"
    size = 30


class PutKnown(Upload):
    """PUT of a blob whose file is there already, from another repository."""

    name = "put-known"
    first = 0

    def prepare(self, client: Client) -> None:
        client.push_blob(f"{self.repository}/other", self.data)
        super().prepare(client)

    def act(self, client: Client) -> Answer:
        return client.finish(self.session, self.digest, self.data)

    def seen(self, client: Client) -> object:
        assert client.blob(f"{self.repository}/other", self.digest) == self.data
        return super().seen(client)


class Cancel(Upload):
    """DELETE of a session."""

    name = "cancel"
    success = 204

    def act(self, client: Client) -> Answer:
        return client.delete(self.session)

    def done(self) -> object:
        return None, None

    def again(self, client: Client) -> None:
        assert client.delete(self.session).status in (204, 404)


class Mount(Operation):
    """POST with mount and from."""

    name = "mount"
    success = 201

    def prepare(self, client: Client) -> None:
        self.data = self.bytes_of("blob", 50)
        self.digest = client.push_blob(f"{self.repository}/source", self.data)

    def act(self, client: Client) -> Answer:
        return client.post(f"/v2/{self.repository}/blobs/uploads/?mount={self.digest}&from={self.repository}/source")

    def seen(self, client: Client) -> object:
        return client.blob(self.repository, self.digest)

    def before(self) -> object:
        return None

    def done(self) -> object:
        return self.data


class _Images(Operation):
    """Two images of the same blobs."""

    success = 201

    def prepare(self, client: Client) -> None:
        config, layer = self.bytes_of("config", 40), self.bytes_of("layer", 100)
        for blob in (config, layer):
            client.push_blob(self.repository, blob)
        self.old = image(config, [layer], "old")
        self.new = image(config, [layer], "new")

    def push(self, client: Client, reference: str, manifest: Manifest) -> None:
        """A push that is part of the preparation."""
        answer = client.put_manifest(self.repository, reference, manifest)
        assert answer.status == 201, answer


class PutTag(_Images):
    """PUT of a manifest that moves a tag."""

    name = "put-tag"

    def prepare(self, client: Client) -> None:
        super().prepare(client)
        self.push(client, "latest", self.old)

    def act(self, client: Client) -> Answer:
        return client.put_manifest(self.repository, "latest", self.new)

    def seen(self, client: Client) -> object:
        return client.tag(self.repository, "latest"), client.manifest(self.repository, self.new.digest)

    def before(self) -> object:
        return self.old.digest, None

    def done(self) -> object:
        return self.new.digest, self.new.payload


class PutIndex(_Images):
    """PUT of an index by digest, with two tags: all of it or nothing."""

    name = "put-index"

    def prepare(self, client: Client) -> None:
        super().prepare(client)
        for child in (self.old, self.new):
            self.push(client, child.digest, child)
        self.index = index([self.old, self.new])

    def act(self, client: Client) -> Answer:
        return client.put_manifest(self.repository, self.index.digest, self.index, "?tag=a&tag=b")

    def seen(self, client: Client) -> object:
        payload = client.manifest(self.repository, self.index.digest)
        return payload, client.tag(self.repository, "a"), client.tag(self.repository, "b")

    def before(self) -> object:
        return None, None, None

    def done(self) -> object:
        return self.index.payload, self.index.digest, self.index.digest


class PutReferrer(_Images):
    """PUT of a manifest with a subject: it is stored and listed, or neither."""

    name = "put-referrer"

    def prepare(self, client: Client) -> None:
        super().prepare(client)
        self.push(client, "subject", self.old)
        config, layer = self.bytes_of("config", 40), self.bytes_of("layer", 100)
        self.referrer = image(config, [layer], "referrer", self.old)

    def act(self, client: Client) -> Answer:
        return client.put_manifest(self.repository, self.referrer.digest, self.referrer)

    def seen(self, client: Client) -> object:
        listed = client.get(f"/v2/{self.repository}/referrers/{self.old.digest}").json()["manifests"]
        return client.manifest(self.repository, self.referrer.digest), [entry["digest"] for entry in listed]

    def before(self) -> object:
        return None, []

    def done(self) -> object:
        return self.referrer.payload, [self.referrer.digest]


class DeleteManifest(_Images):
    """DELETE of a manifest with two tags."""

    name = "delete-manifest"
    success = 202

    def prepare(self, client: Client) -> None:
        super().prepare(client)
        for tag in ("a", "b"):
            self.push(client, tag, self.old)

    def act(self, client: Client) -> Answer:
        return client.delete(f"/v2/{self.repository}/manifests/{self.old.digest}")

    def seen(self, client: Client) -> object:
        return [client.manifest(self.repository, reference) for reference in (self.old.digest, "a", "b")]

    def before(self) -> object:
        return [self.old.payload] * 3

    def done(self) -> object:
        return [None] * 3

    def again(self, client: Client) -> None:
        assert self.act(client).status in (202, 404)


class DeleteTag(_Images):
    """DELETE of a tag: the manifest and another tag of it stay."""

    name = "delete-tag"
    success = 202

    def prepare(self, client: Client) -> None:
        super().prepare(client)
        for tag in ("a", "b"):
            self.push(client, tag, self.old)

    def act(self, client: Client) -> Answer:
        return client.delete(f"/v2/{self.repository}/manifests/a")

    def seen(self, client: Client) -> object:
        return [client.tag(self.repository, reference) for reference in (self.old.digest, "a", "b")]

    def before(self) -> object:
        return [self.old.digest] * 3

    def done(self) -> object:
        return [self.old.digest, None, self.old.digest]

    def again(self, client: Client) -> None:
        assert self.act(client).status in (202, 404)


class DeleteBlob(Operation):
    """DELETE of a blob that another repository has too."""

    name = "delete-blob"
    success = 202

    def prepare(self, client: Client) -> None:
        self.data = self.bytes_of("blob", 50)
        for name in (self.repository, f"{self.repository}/other"):
            self.digest = client.push_blob(name, self.data)

    def act(self, client: Client) -> Answer:
        return client.delete(f"/v2/{self.repository}/blobs/{self.digest}")

    def seen(self, client: Client) -> object:
        return client.blob(self.repository, self.digest), client.blob(f"{self.repository}/other", self.digest)

    def before(self) -> object:
        return self.data, self.data

    def done(self) -> object:
        return None, self.data

    def again(self, client: Client) -> None:
        assert self.act(client).status in (202, 404)


OPERATIONS: tuple[type[Operation], ...] = (
    BeginUpload,
    Patch,
    PutRest,
    PutEmpty,
    PutWhole,
    PostWhole,
    PatchSmall,
    Outgrow,
    PutSmall,
    PutOutgrown,
    PostSmall,
    PutKnown,
    Cancel,
    Mount,
    PutTag,
    PutIndex,
    PutReferrer,
    DeleteManifest,
    DeleteTag,
    DeleteBlob,
)
