"""The backends of bytes keep their contract, bare and inside the wrapper that the program puts around each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moorage.blobs.checked import CheckedBlobs, CheckedUploads
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.filesystem_uploads import FilesystemUploads
from moorage.blobs.memory import MemoryBlobs, MemoryUploads
from moorage.testing.blob_store import BlobStoreContract, OpenStore, Store
from moorage.testing.upload_store import UploadStoreContract


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture
def memory() -> OpenStore:
    blobs = MemoryBlobs()
    store = Store(blobs, MemoryUploads(blobs))
    return lambda: store  # this backend lives in one process only


@pytest.fixture
def filesystem(tmp_path: Path, executor: ThreadPoolExecutor) -> OpenStore:
    return lambda: Store(FilesystemBlobs(tmp_path, executor), FilesystemUploads(tmp_path, executor))


def checked(open_bare: OpenStore) -> OpenStore:
    def open_checked() -> Store:
        bare = open_bare()
        return Store(CheckedBlobs(bare.blobs), CheckedUploads(bare.uploads))

    return open_checked


class TestMemory(BlobStoreContract, UploadStoreContract):
    @pytest.fixture
    def open_store(self, memory: OpenStore) -> OpenStore:
        return memory


class TestMemoryChecked(BlobStoreContract, UploadStoreContract):
    @pytest.fixture
    def open_store(self, memory: OpenStore) -> OpenStore:
        return checked(memory)


class TestFilesystem(BlobStoreContract, UploadStoreContract):
    @pytest.fixture
    def open_store(self, filesystem: OpenStore) -> OpenStore:
        return filesystem


class TestFilesystemChecked(BlobStoreContract, UploadStoreContract):
    @pytest.fixture
    def open_store(self, filesystem: OpenStore) -> OpenStore:
        return checked(filesystem)
