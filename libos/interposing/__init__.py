"""System calls of a world's programs, answered by Python in the supervisor's process: interposition.

    monitor = Monitor()                          which calls, by which handlers, on what terms
    @monitor.on("mkdir", "mkdirat")
    async def made(call: SystemCall) -> Answer: …
    app = await supervisor.start(manifest, on_syscall=monitor)

The kernel's part is seccomp's user notification, seccomp_unotify(2): a call that the filter lets pass waits
until its handler has answered for it. Rules:
- A handler is asked about calls that the filter allows, and of no other: what the filter refuses is refused,
  and no answer lifts that.
- The call's number and its six words are what the kernel has; a handler may decide by them. What a word
  points to is the program's memory, which another thread changes as it likes. So CONTINUE after a look into
  memory is refused: the kernel reads it again. An answer by value or by a descriptor is not read again.
- Only the thread that made the call waits. A handler that raises or is late is a failed call and an event.

answers.py   what a handler gives back
call.py      one call: its words, the memory behind them
monitor.py   handlers by the names of calls
serving.py   receives, asks, answers, tells
"""

from __future__ import annotations

from libos.interposing.answers import CONTINUE, CONTINUE_ANYWAY, Answer, Give
from libos.interposing.call import SystemCall
from libos.interposing.monitor import Handler, Monitor

__all__ = ["CONTINUE", "CONTINUE_ANYWAY", "Answer", "Give", "Handler", "Monitor", "SystemCall"]
