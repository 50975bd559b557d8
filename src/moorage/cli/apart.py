"""Work that is done once, in a process of its own: what it loads does not stay in the memory of all workers."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


class DiedError(RuntimeError):
    """The process ended without a result: somebody killed it."""


def apart(work: Callable[[str], str], argument: str) -> str:
    """What `work` returns for `argument`; for a process without threads, which is forked.

    It ends where the caller's process ends, as if it were done there.

    Args:
        work: a function of a module. It raises nothing.
        argument: see work.

    Raises:
        DiedError: it did not return.
    """
    fork = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if fork else None)
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(ours, theirs, work, argument))
    process.start()
    theirs.close()
    try:
        result: str = ours.recv()
    except EOFError:
        process.join()
        raise DiedError(f"the process for it ended with status {process.exitcode}") from None
    finally:
        ours.close()
        process.join()
    return result


def _run(ours: Connection, theirs: Connection, work: Callable[[str], str], argument: str) -> None:
    ours.close()  # forked with us: while it is open here, nobody is told that it closed there
    threading.Thread(target=_end_with, args=(theirs,), daemon=True).start()
    with suppress(KeyboardInterrupt):  # whoever started us tells of it
        theirs.send(work(argument))


def _end_with(pipe: Connection) -> None:
    """Nothing is ever sent to us: what there is to read is the end."""
    pipe.poll(None)
    os._exit(1)
