"""The suites for plugin authors can fail: a backend with a known fault is shown to each, and the fault is found."""

from __future__ import annotations

import pytest

BACKEND = """
import pytest
from moorage.blobs.memory import MemoryBlobs, MemoryUploads
from moorage.blobs.ports import Inline, Progress
from moorage.core.errors import UploadRangeInvalid
from moorage.testing.blob_store import BlobStoreContract, Store
from moorage.testing.upload_store import UploadStoreContract

class Blobs(MemoryBlobs):
    FAULT_OF_BLOBS

class Uploads(MemoryUploads):
    FAULT_OF_UPLOADS

class TestMine(BlobStoreContract, UploadStoreContract):
    @pytest.fixture
    def open_store(self):
        blobs = Blobs()
        store = Store(blobs, Uploads(blobs))
        return lambda: store
"""
NO_ORDER = """async def scan(self, after=''):
        for digest, _ in list(self.kept.values()):
            yield digest"""
NO_CHECK = """async def seal(self, key, digest, known=None):
        return await self._blobs.put(digest, bytes(self._kept.pop(key, b'')))"""
NO_PLACE = """async def append(self, key, offset, pieces, algorithm, held=0):
        return await super().append(key, None, pieces, algorithm, held)"""
NO_LOCK = """async def append(self, *arguments, **options):
        self._busy.clear()
        return await super().append(*arguments, **options)"""
OFF_BY_ONE = "async def source(self, where, size, start, stop): return Inline(self.kept[where][1][start:stop + 1])"
FAULTS = {
    "off by one": ("blobs", OFF_BY_ONE, "test_ranges"),
    "delete does nothing": ("blobs", "async def delete(self, digest): pass", "test_deleted_is_gone"),
    "no order": ("blobs", NO_ORDER, "test_scan_is_in_order_and_goes_on_after_any_digest"),
    "any bytes are sealed": ("uploads", NO_CHECK, "test_other_bytes_than_announced"),
    "the place does not matter": ("uploads", NO_PLACE, "test_a_chunk_at_the_wrong_place_takes_nothing"),
    "two may write": ("uploads", NO_LOCK, "test_one_request_at_a_time"),
}


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        "-k", tests, "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"
    )


@pytest.mark.parametrize(("where", "fault", "test"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found(pytester: pytest.Pytester, where: str, fault: str, test: str) -> None:
    text = BACKEND.replace("FAULT_OF_BLOBS", fault if where == "blobs" else "pass")
    pytester.makepyfile(text.replace("FAULT_OF_UPLOADS", fault if where == "uploads" else "pass"))
    result = run(pytester, test)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) >= 1, outcomes


def test_a_backend_without_a_fault_passes_as_the_documentation_says(pytester: pytest.Pytester) -> None:
    """Also where the author's pytest-asyncio is in its strict mode."""
    text = BACKEND.replace("FAULT_OF_BLOBS", "pass").replace("FAULT_OF_UPLOADS", "pass")
    pytester.makepyfile(text)
    result = run(pytester, "deleted or ranges or one_request")
    outcomes = result.parseoutcomes()
    assert outcomes.keys() <= {"passed", "deselected"}
    assert outcomes["passed"] > 5


def test_a_suite_without_a_backend_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "from moorage.testing.blob_store import BlobStoreContract\nclass TestMine(BlobStoreContract):\n    pass\n"
    )
    result = run(pytester, "scan_of_nothing")
    result.assert_outcomes(errors=1)
