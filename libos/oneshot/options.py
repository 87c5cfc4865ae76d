"""What one call of `libos.run` asks for, checked, and what it gives back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from libos.oneshot.background import Call

if TYPE_CHECKING:
    from os import PathLike

    from libos.manifest import Manifest
    from libos.worlds.streams import Stream

Completed = subprocess.CompletedProcess[Any]


class Options(TypedDict, total=False):
    """The keyword arguments of `libos.run`; a key that is left out is as None, empty or False."""

    manifest: Manifest | Mapping[str, Any] | str | PathLike[str] | None
    mounts: Iterable[str]
    dials: Iterable[str]
    publish: Iterable[str]
    environment: Mapping[str, str] | None
    directory: str | None
    keep: str | None
    capture: str | None
    stdin: Stream
    stdout: Stream
    stderr: Stream
    input: str | bytes | None
    capture_output: bool
    text: bool
    timeout: float | None
    check: bool


class Oneshot:
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
        keep: str | None = None,
        capture: str | None = None,
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
            keep=keep,
            capture=capture,
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
