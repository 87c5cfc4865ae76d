"""What a world's init is told of its system calls, where the filter is not the one that most worlds have."""

from __future__ import annotations

import binascii
import errno
from collections import Counter
from functools import partial
from typing import Any

import trio

from libos.keeper.refusals import RECORD
from libos.syscalls import DEFAULT, Wanted

# Calls that the end of a world counts singly.
_MOST = 50


async def own_filter(wanted: Wanted, interposed: frozenset[str], *, hearing: bool) -> dict[str, Any]:
    """The part of the keeper's message. The `interposed` calls are notified of to this process, listen(2)
    with them, where it is to be heard (`hearing`); else to a process of the world. Compiles what is not
    compiled yet, in a thread: some 40 ms the first time. Raises OSError where libseccomp cannot make it."""
    told = {"hearing": hearing and not interposed}
    if wanted == DEFAULT and not interposed:
        return told
    return told | await trio.to_thread.run_sync(partial(_message, wanted, interposed, hearing=hearing))


def _message(wanted: Wanted, interposed: frozenset[str], *, hearing: bool) -> dict[str, Any]:
    from libos.syscalls.compiling import program
    from libos.syscalls.resolving import resolve

    in_filter = bool(wanted.log or interposed)  # else listen(2) has a filter of its own (hearing.py)
    notified = interposed | {"listen"} if hearing and in_filter else interposed
    filter_program = program(wanted, notified=notified)
    message = {
        "filter": binascii.b2a_base64(filter_program, newline=False).decode(),
        "filter_last": in_filter or not resolve(wanted).lets_prepare,
        "interposed": bool(interposed),
    }
    if not wanted.log:
        return message
    from libos.syscalls.telling import answers

    return message | {"answers": answers(wanted)}


class Refused:
    """What one world's filter refused, where it tells of that."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._times: Counter[str] = Counter()

    def told(self, record: bytes) -> dict[str, object]:
        """The event of one record of refusals, which is counted."""
        fields, call, count = _told(record)
        self._times[call] += count
        return fields

    def summary(self) -> dict[str, object] | None:
        """How many of this machine's calls pass, and how often each other one was told of until now; None
        where the filter does not tell."""
        if not self._wanted.log:
            return None
        from libos.syscalls.counting import passing, table
        from libos.syscalls.resolving import resolve

        known = table()
        calls = passing(resolve(self._wanted), known)
        return {"passing": calls.passing, "known": len(known), "told": dict(self._times.most_common(_MOST))}


def _told(record: bytes) -> tuple[dict[str, object], str, int]:
    """The event of one record, its number told as a name; the call, and how many it stands for."""
    from libos.syscalls.telling import name

    number, error, process, count, *arguments = RECORD.unpack(record)
    fields: dict[str, object] = {
        "call": name(number),
        "arguments": [f"{each:#x}" for each in arguments],
        "error": errno.errorcode.get(error) if error else None,
        "process": process,
        "count": count,
    }
    return fields, name(number), count
