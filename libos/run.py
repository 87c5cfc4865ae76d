"""`libos.run` and `libos.arun`: one program in one world, for callers without a supervisor of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from libos.background import Call
from libos.streams import Stream

if TYPE_CHECKING:
    from os import PathLike

    from libos.manifest import Manifest

Completed = subprocess.CompletedProcess[Any]


def run(command: Sequence[str] = (), **options: Any) -> Completed:
    """Run a program in a world of its own, wait for it, and give what `subprocess.run` gives.

    The world is that of `manifest` (a file's path, a mapping, a Manifest), or the profile base's;
    `mounts` ("SRC:AT[:ro|rw|cow]"), `dials` ("tcp!host!port"), `publish` ("[IP:]PORT:PORT"), `environment`
    (a mapping) and `directory` are laid over it. `stdin`, `stdout`, `stderr`, `input`, `capture_output`,
    `text`, `timeout` and `check` are subprocess.run's, and so are CalledProcessError with `check` and
    TimeoutExpired after `timeout` seconds, each with what was captured until then. Raises beside them
    ManifestError, CommandNotFoundError, CommandError, HostError, SupervisorError. May be called from any
    thread, but it blocks: a trio or asyncio program awaits `arun`.
    """
    prepared = _Run(command, **options)
    prepared.call.run()
    return prepared.result()


async def arun(command: Sequence[str] = (), **options: Any) -> Completed:
    """As `run`, with the same arguments, awaited from a trio or an asyncio program.

    Cancelling it ends the world before the cancellation goes on.
    """
    import anyio
    import anyio.to_thread

    prepared = _Run(command, **options)
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


class _Run:
    """One run: its arguments checked, its call ready to be made, its result as subprocess would give it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        manifest: Manifest | Mapping[str, Any] | str | PathLike[str] | None = None,
        mounts: Iterable[str] = (),
        dials: Iterable[str] = (),
        publish: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        input: str | bytes | None = None,  # noqa: A002 - subprocess.run's own name
        capture_output: bool = False,
        text: bool = False,
        timeout: float | None = None,
        check: bool = False,
    ) -> None:
        if capture_output and (stdout is not None or stderr is not None):
            raise ValueError("capture_output goes without stdout and stderr")
        if input is not None and stdin is not None:
            raise ValueError("input goes without stdin")
        from libos.manifest import from_options

        wanted = from_options(
            manifest,
            command=command,
            mounts=mounts,
            dials=dials,
            publish=publish,
            environment=[f"{name}={value}" for name, value in (environment or {}).items()],
            directory=directory,
        )
        if capture_output:
            stdout = stderr = subprocess.PIPE
        if input is not None:
            stdin = subprocess.PIPE
        data = input.encode() if isinstance(input, str) else input
        self.call = Call(wanted, (stdin, stdout, stderr), data, timeout)
        self._text = text or isinstance(input, str)
        self._timeout = timeout
        self._check = check

    def result(self) -> Completed:
        """Give the run's end. Raises what it raised, TimeoutExpired, CalledProcessError."""
        captured = self.call.result()
        raw = (captured.stdout, captured.stderr)
        stdout, stderr = (each.decode() if self._text and each is not None else each for each in raw)
        if captured.status.reason == "time" and self._timeout is not None:
            raise subprocess.TimeoutExpired(captured.command, self._timeout, stdout, stderr)
        completed: Completed = subprocess.CompletedProcess(
            captured.command, captured.status.returncode, stdout, stderr
        )
        if self._check:
            completed.check_returncode()
        return completed
