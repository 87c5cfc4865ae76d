"""What a handler answers: a value, a descriptor, or that the kernel is to do the call.

An errno is answered by raising an OSError that has it. Pure but for a look at what is given.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum

# What a call can give: a long. linux/seccomp.h, seccomp_notif_resp.
MOST = (1 << 63) - 1


class Continue(Enum):
    """The kernel does the call itself."""

    CONTINUE = "continue"
    CONTINUE_ANYWAY = "continue anyway"


# The kernel does the call with the words that the handler saw. It is refused once the handler has looked into
# the program's memory: another thread may have changed it since, so that what was looked at decides nothing.
CONTINUE = Continue.CONTINUE
# The same, by a handler that has looked and knows that this was no decision: it counts, or writes down.
CONTINUE_ANYWAY = Continue.CONTINUE_ANYWAY


@dataclass(frozen=True)
class Give:
    """A copy of descriptor `fd` for the program: the call gives its number there. `fd` is libos's from here
    on, and closed. `cloexec`: it closes when the program is executed anew.

    Raises ValueError for a directory: from it the whole tree of the host could be reached, by "..".
    """

    fd: int
    cloexec: bool = True

    def __post_init__(self) -> None:
        if stat.S_ISDIR(os.fstat(self.fd).st_mode):
            os.close(self.fd)
            raise ValueError("a directory leads out of the world by its ..; mount it instead")


# What a handler gives back. An int is what the call gives, from 0 on.
Answer = int | Give | Continue


def checked(answer: object, *, looked: bool) -> Answer:
    """An answer that can be given. Raises TypeError and ValueError, and closes what it would have given."""
    match answer:
        case bool():
            raise TypeError("a handler answers an int, Give(fd), CONTINUE, or raises OSError; not a bool")
        case int():
            if not 0 <= answer <= MOST:
                raise ValueError(f"a call gives 0 to {MOST}, not {answer}; an errno is raised as an OSError")
            return answer
        case Continue.CONTINUE if looked:
            raise ValueError(
                "CONTINUE after a look into memory decides nothing, since the kernel reads it again: answer "
                "by value, or by CONTINUE_ANYWAY where nothing was to be decided"
            )
        case Give() | Continue():
            return answer
    raise TypeError(f"a handler answers an int, Give(fd), CONTINUE, or raises OSError; not {answer!r:.100}")
