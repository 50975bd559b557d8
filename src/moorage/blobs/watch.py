"""Whether the storage is there: a look that costs next to nothing, for whoever asks whether requests can be served."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from moorage.blobs.patient import Patient

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from moorage.blobs.settings import WatchSettings

LOOK_SECONDS = 2.0
"""How long a look may take; a network filesystem whose server is gone answers nothing at all."""


class StorageWatch:
    """Looks whether a folder is there, and remembers what it saw.

    A volume that was not mounted, or was taken away, leaves a root without the folder of the uploads.

    Args:
        folder: made before the program serves, and never removed by it.
        settings: how often to look, and how often in a row it may be missing.
        executor: where file operations run; where all its threads hang, the look is in vain, too.
        clock: seconds that only go forward.
    """

    def __init__(self, folder: Path, settings: WatchSettings, executor: Executor, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._interval = settings.interval_seconds
        self._threshold = max(1, settings.threshold)
        self._executor = executor
        self._clock = clock
        self._due = clock()
        self._missed = 0
        self._folder_is_there = Patient(self._ask)

    async def is_there(self) -> bool:
        """Whether the folder was there at the last looks; looks again where that was long enough ago."""
        now = self._clock()
        if now >= self._due:
            self._due = now + self._interval
            self._missed = 0 if await self._look() else self._missed + 1
        return self._missed < self._threshold

    async def _look(self) -> bool:
        """One look; while an earlier one still hangs there is no other, so that threads do not pile up."""
        try:
            return await self._folder_is_there.answer(LOOK_SECONDS)
        except TimeoutError:
            return False

    def _ask(self) -> asyncio.Future[bool]:
        return asyncio.get_running_loop().run_in_executor(self._executor, os.path.isdir, self._folder)
