"""One call of a program that waits for its answer.

Rules:
- Its number and words are the kernel's copy and do not change. All that is read from memory is the program's,
  and may be another thing a moment later.
- Memory is read and written in a thread, since a page may have to come from a file server, this process's own
  too. Before and after it is asked whether the call still waits: else its thread's number may be another's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from libos.kernel import memory, notifications

T = TypeVar("T")
# Bytes that one look may take, and a path may have (PATH_MAX, limits.h).
MOST_READ = 1 << 20
LONGEST_PATH = 4096
# Programs are read in pages: text may end right before one that is not there.
_PAGE = 4096
_WORD = (1 << 64) - 1


class SystemCall:
    """A call that waits. `name` and `number` say which, `arguments` are its six words, `process` is who
    called, by its number inside, and `program` its name (proc(5), comm); None where it has gone meanwhile."""

    def __init__(
        self,
        name: str,
        heard: notifications.Notification,
        listener_fd: int,
        process: int | None,
        program: str | None,
        room: trio.CapacityLimiter,
    ) -> None:
        self.name = name
        self.number = heard.number
        self.arguments = heard.arguments
        self.process = process
        self.program = program
        self.looked = False
        self._heard = heard
        self._listener_fd = listener_fd
        self._room = room

    def __repr__(self) -> str:
        words = ", ".join(f"{each:#x}" for each in self.arguments)
        return f"<SystemCall {self.name}({words}) of {self.program} {self.process}>"

    def whole(self, argument: int) -> int:
        """An argument as the kernel reads an int: 32 bits with a sign, as of a descriptor."""
        low = self.arguments[argument] & 0xFFFF_FFFF
        return low - (1 << 32) if low >> 31 else low

    @property
    def is_waiting(self) -> bool:
        """Whether the program still waits for an answer."""
        return notifications.is_valid(self._listener_fd, self._heard.id)

    async def read(self, address: int, size: int) -> bytes:
        """What stands in the program's memory now, at most `size` bytes and fewer where it ends.

        After it CONTINUE is refused. Raises OSError: EFAULT where nothing is there, ESRCH where the call is
        over; ValueError for more than 1 MiB.
        """
        if not 0 <= size <= MOST_READ:
            raise ValueError(f"a look takes 0 to {MOST_READ} bytes, not {size}")
        self.looked = True
        return await self._beside(partial(memory.read, self._heard.thread, address & _WORD, size))

    async def text(self, argument: int, most: int = LONGEST_PATH) -> str:
        """The text that an argument points to, up to its NUL: a path as os.fsdecode(3) has it.

        After it CONTINUE is refused. Raises OSError as `read` does, and ENAMETOOLONG.
        """
        address, found = self.arguments[argument], b""
        while b"\0" not in found and len(found) < most:
            at = address + len(found)
            found += await self.read(at, min(_PAGE - at % _PAGE, most - len(found)))
        text, end, _ = found.partition(b"\0")
        if not end:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return os.fsdecode(text)

    async def write(self, address: int, data: bytes) -> None:
        """Write to the program's memory, as a call does that gives more than a number. Raises as `read`."""
        if len(data) > MOST_READ:
            raise ValueError(f"at most {MOST_READ} bytes are written at once, not {len(data)}")
        await self._beside(partial(memory.write, self._heard.thread, address & _WORD, data))

    async def _beside(self, do: Callable[[Callable[[], bool]], T]) -> T:
        # A listener of its own: the thread may outlive this call, and must not meet another one's number.
        listener_fd = os.dup(self._listener_fd)

        def work() -> T:
            try:
                return do(lambda: notifications.is_valid(listener_fd, self._heard.id))
            finally:
                os.close(listener_fd)

        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._room)
