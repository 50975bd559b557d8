"""Media types."""

from __future__ import annotations

import pytest

from moorage.core import media_types
from moorage.core.media_types import OCI_INDEX, essence


@pytest.mark.parametrize(
    "content_type",
    [OCI_INDEX, f"{OCI_INDEX};charset=utf-8", f" {OCI_INDEX} ; charset=utf-8", f"{OCI_INDEX};", f"{OCI_INDEX}\t"],
)
def test_parameters_and_blanks_do_not_count(content_type: str) -> None:
    assert essence(content_type) == OCI_INDEX


@pytest.mark.parametrize("content_type", ["", ";", " ; charset=utf-8"])
def test_no_type(content_type: str) -> None:
    assert essence(content_type) == ""


def test_no_type_is_an_image_and_an_index() -> None:
    assert not media_types.IMAGES & media_types.INDEXES
    assert media_types.MANIFESTS == media_types.IMAGES | media_types.INDEXES
    assert not media_types.FOREIGN_LAYERS & media_types.MANIFESTS
