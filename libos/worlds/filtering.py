"""What a world's init is told of its system calls, where the filter is not the one that most worlds have."""

from __future__ import annotations

import binascii
import errno
from functools import partial
from typing import Any

import trio

from libos.keeper.refusals import RECORD
from libos.syscalls import DEFAULT, Wanted


async def own_filter(wanted: Wanted, *, hearing: bool) -> dict[str, Any]:
    """The part of the keeper's message; empty for the default. Compiles what is not compiled yet, in a
    thread: some 40 ms the first time. Raises OSError where libseccomp cannot make it."""
    if wanted == DEFAULT:
        return {}
    return await trio.to_thread.run_sync(partial(_message, wanted, hearing=hearing))


def _message(wanted: Wanted, *, hearing: bool) -> dict[str, Any]:
    from libos.syscalls.compiling import program
    from libos.syscalls.resolving import resolve

    filter_program = program(wanted, hearing=hearing)
    message = {
        "filter": binascii.b2a_base64(filter_program, newline=False).decode(),
        "filter_last": bool(wanted.log) or not resolve(wanted).lets_prepare,
    }
    if not wanted.log:
        return message
    from libos.syscalls.telling import answers

    return message | {"answers": answers(wanted)}


def told(record: bytes) -> dict[str, object]:
    """The event of one record of refusals; its number is told as a name."""
    from libos.syscalls.telling import name

    number, error, process, count, *arguments = RECORD.unpack(record)
    return {
        "call": name(number),
        "arguments": [f"{each:#x}" for each in arguments],
        "error": errno.errorcode.get(error) if error else None,
        "process": process,
        "count": count,
    }
