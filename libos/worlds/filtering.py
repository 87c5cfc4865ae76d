"""What a world's init is told of its system calls, where the filter is not the one that most worlds have."""

from __future__ import annotations

import binascii
from typing import Any

import trio

from libos.syscalls import DEFAULT, Wanted


async def own_filter(wanted: Wanted) -> dict[str, Any]:
    """The part of the keeper's message; empty for the default. Compiles what is not compiled yet, in a
    thread: that takes some 20 ms the first time. Raises OSError where libseccomp cannot make it."""
    if wanted == DEFAULT:
        return {}
    return await trio.to_thread.run_sync(_message, wanted)


def _message(wanted: Wanted) -> dict[str, Any]:
    from libos.syscalls.compiling import program
    from libos.syscalls.resolving import resolve

    return {
        "filter": binascii.b2a_base64(program(wanted), newline=False).decode(),
        "filter_last": not resolve(wanted).lets_prepare,
    }
