"""Work that is done once, in a process of its own: what it loads does not stay in the memory of all workers."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


class DiedError(RuntimeError):
    """The process ended without a result: somebody killed it."""


def apart(work: Callable[[str], str], argument: str) -> str:
    """What `work` returns for `argument`; for a process without threads, which is forked.

    Args:
        work: a function of a module. It raises nothing.
        argument: see work.

    Raises:
        DiedError: it did not return.
    """
    fork = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if fork else None)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, work, argument))
    process.start()
    theirs.close()
    try:
        result: str = ours.recv()
    except EOFError:
        raise DiedError(f"the process for it ended with status {_status(process)}") from None
    finally:
        process.join()
        ours.close()
    return result


def _run(pipe: Connection, work: Callable[[str], str], argument: str) -> None:
    with suppress(KeyboardInterrupt):  # whoever started us tells of it
        pipe.send(work(argument))


def _status(process: multiprocessing.process.BaseProcess) -> int | None:
    process.join()
    return process.exitcode
