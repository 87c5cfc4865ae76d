"""One error out of a nursery as itself.

A nursery wraps what its tasks raise. Where a nursery is an inner matter, its callers were promised the error
and not a group; a group of several errors stays one, since none of them may be hidden.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def unwrapped() -> AsyncIterator[None]:
    """Let a group that holds a single error leave the block as that error."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None  # noqa: ASYNC123 - the group adds nothing to the error that it was
