"""`libos.run` and `libos.arun`: one program in one world, for callers without a supervisor of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from libos.oneshot.options import Completed, Oneshot, Options


def run(command: Sequence[str] = (), **options: Unpack[Options]) -> Completed:
    """Run a program in a world of its own, wait for it, and give what `subprocess.run` gives.

    The world is that of `manifest` (a file's path, a mapping, a Manifest), or the profile base's;
    `mounts` ("SRC:AT[:ro|rw|cow]"), `dials` ("tcp!host!port"), `publish` ("[IP:]PORT:PORT"), `environment`
    (a mapping) and `directory` are laid over it. With `keep`, changes to copy-on-write mounts are kept under
    that name, for `libos.changes`; `capture` is a file that is told what its network carries. `stdin`,
    `stdout`, `stderr`, `input`, `capture_output`, `text`, `timeout` and `check` are subprocess.run's, and so
    are CalledProcessError with `check` and TimeoutExpired after `timeout` seconds, each with what was
    captured until then. Raises beside them
    ManifestError, CommandNotFoundError, CommandError, HostError, SupervisorError, ChangesError. May be called
    from any thread, but it blocks: a trio or asyncio program awaits `arun`.
    """
    prepared = Oneshot(command, **options)
    prepared.call.run()
    return prepared.result()


async def arun(command: Sequence[str] = (), **options: Unpack[Options]) -> Completed:
    """As `run`, with the same arguments, awaited from a trio or an asyncio program.

    Cancelling it ends the world before the cancellation goes on.
    """
    import anyio
    import anyio.to_thread

    prepared = Oneshot(command, **options)
    ended = anyio.Event()

    async def work() -> None:
        # A thread of its own, and one that is always waited for: when it ends, the world has ended.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(prepared.call.run, limiter=anyio.CapacityLimiter(1))
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        try:
            await ended.wait()
        except anyio.get_cancelled_exc_class():
            prepared.call.cancel()
            raise
    return prepared.result()
