"""The way past the event loop: asked first, and never in the way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from granian import _futures
from granian.server import mp as _mp

from moorage.cli import shortcut

mp: Any = _mp


def test_this_release_of_granian_has_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp, "_new_cbscheduler", mp._new_cbscheduler)
    assert shortcut.install(lambda _scope, _send: True, lambda _loop: None)
    loop = asyncio.new_event_loop()
    try:
        assert mp._new_cbscheduler(loop, lambda _watcher: None, impl_asyncio=True) is not None
    finally:
        loop.close()


def test_another_release_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_futures, "_cbsched_aioschedule")
    before = mp._new_cbscheduler
    assert not shortcut.install(lambda _scope, _send: True, lambda _loop: None)
    assert mp._new_cbscheduler is before


class _Watcher:
    def __init__(self) -> None:
        self.scope = {"type": "http"}
        self.proto = SimpleNamespace(send=print)
        self.ended = False

    def done(self) -> None:
        self.ended = True


@pytest.mark.parametrize(("answered", "left"), [(True, 0), (False, 1), (None, 1)])
def test_the_loop_serves_what_was_not_answered(answered: bool | None, left: int) -> None:
    def at_once(scope: dict[str, Any], send: Any) -> bool:
        assert (scope, send) == ({"type": "http"}, print)
        if answered is None:
            raise OSError("whatever")
        return answered

    later: list[Any] = []
    watcher = _Watcher()
    shortcut._first(at_once, later.append)(watcher)
    assert len(later) == left
    assert watcher.ended is (left == 0)
