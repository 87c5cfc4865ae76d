"""The boundary around every operation of every node: whatever a node does, its caller gets an errno in time.

- An OSError becomes its errno (EIO if that is none that the kernel takes).
- A ReportedError is its errno, and a report.
- Anything else that is raised, and a deadline that passes, is a fault: EIO or ETIMEDOUT, and a report.
- Only what belongs to trio or to the person at the keyboard passes: Cancelled, KeyboardInterrupt,
  GeneratorExit.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from libos.fs.inodes import Inode
from libos.fs.node import ReportedError
from libos.fs.requests import Request, Requests
from libos.fs.worlds import Attachment, Fault, OnFault

log = logging.getLogger("libos.fs")

# Seconds after which a waiting operation is answered with ETIMEDOUT. The kernel has no limit of its own; a
# person gives up at about this.
DEADLINE = 30.0
# Greatest errno that the kernel takes in a reply: fuse_dev_do_write in linux/fs/fuse/dev.c refuses 512 and
# above.
ERRNO_MAX = 511

Answer = TypeVar("Answer")


class Boundary:
    """Runs operations of nodes for one server."""

    def __init__(self, on_fault: OnFault, refuse: Callable[[int], Exception]) -> None:
        """`refuse` makes the protocol library's exception for an errno."""
        self.requests: Requests[Attachment | None] = Requests()
        self._on_fault = on_fault
        self._refuse = refuse

    async def answer(
        self,
        operation: str,
        inode: Inode[Attachment | None],
        thread: int,
        known: bool,
        method: Callable[..., Awaitable[Answer]],
        *arguments: object,
    ) -> Answer:
        """What the method gives, or the exception of an errno that the kernel takes. `thread` is who asks,
        or, where that is not `known`, who opened what is used."""
        limit = inode.node.deadline
        deadline = DEADLINE if limit is None else limit
        world = inode.world
        party = None if world is None else world.party
        request = Request(world, inode.number, thread, known, deadline, party)
        try:
            return await self.requests.answer(request, method(*arguments))
        except OSError as error:
            if request.timed_out:
                waited = time.monotonic() - request.since
                self.report(operation, inode, TimeoutError(f"no answer in {waited:.1f} s"))
            elif isinstance(error, ReportedError):
                self.report(operation, inode, error)
            raise self._refuse(_sendable(error.errno)) from None
        except BaseException as error:
            if not _is_ours(error):
                raise
            self.report(operation, inode, error)
            raise self._refuse(errno.EIO) from None  # noqa: ASYNC104 - Cancelled is raised again above

    def report(self, operation: str, inode: Inode[Attachment | None], error: BaseException) -> None:
        """Reports what a node did wrong; never raises."""
        world = inode.world.name if inode.world else ""
        try:
            self._on_fault(Fault(world, inode.path(), operation, error))
        except Exception:
            log.exception("the fault handler failed on %s", operation)


def _sendable(number: object) -> int:
    """An errno that the kernel takes."""
    return number if isinstance(number, int) and 0 < number <= ERRNO_MAX else errno.EIO


def _is_ours(error: BaseException) -> bool:
    """Whether an exception is the node's own, so that it ends here. SystemExit in a node is a fault of the
    node: it must not end the supervisor."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_ours(inner) for inner in error.exceptions)
    return not isinstance(error, trio.Cancelled | KeyboardInterrupt | GeneratorExit)
