"""Running programs in worlds, as root and as an ordinary user, without paying a supervisor for each test.

    result = worlds.run("sh", "-c", "id", mounts=["/srv:/srv"])

A `Worlds` is one supervisor in a child process of its account (worldserver.py); every run is a new world.
"""

from __future__ import annotations

import base64
import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts import Account

SERVER = Path(__file__).with_name("worldserver.py")


@dataclass(frozen=True)
class Result:
    """How an app ended (`status` as Popen.returncode), what it wrote, what happened in its world."""

    status: int
    reason: str
    out: str
    err: str
    events: list[dict[str, Any]]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event["kind"] == kind]

    @property
    def refused(self) -> set[tuple[str, str, int]]:
        """The addresses that the app tried and did not get."""
        return {(e["network"], e["address"], e["port"]) for e in self.of_kind("dial.refused")}

    @property
    def absent(self) -> set[str]:
        """The paths that the app looked for and did not find."""
        return {event["path"] for event in self.of_kind("path.absent")}


class RunError(Exception):
    """The app did not start; `kind` is the error's class in libos."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Worlds:
    """A supervisor of an account. One run at a time."""

    def __init__(self, account: Account, *options: str) -> None:
        self._server = subprocess.Popen(
            account.command(*account.python(str(SERVER), *options)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=account.environment | {"HOME": "/", "TMPDIR": "/tmp"},
            cwd="/",
        )

    def run(
        self,
        *command: str,
        stdin: bytes = b"",
        manifest: dict[str, Any] | None = None,
        check: bool = True,
        **options: Any,
    ) -> Result:
        """Runs a program in a new world to its end. With `check` it must end with 0. Raises RunError."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {
            "options": {"command": command, **options},
            "manifest": manifest,
            "input": base64.b64encode(stdin).decode(),
        }
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        line = self._server.stdout.readline()
        assert line, f"the supervisor ended: {self._server.wait(10)}"
        result = _result(json.loads(line))
        assert result.status == 0 or not check, f"{result.status} ({result.reason}): {result.err}"
        return result

    def python(self, code: str, *arguments: str, **options: Any) -> Result:
        """Runs Python code in a new world of the profile python."""
        options.setdefault("include", ["python"])
        return self.run("python3", "-c", code, *arguments, **options)

    def close(self) -> None:
        """Ends the supervisor."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with suppress(BrokenPipeError):  # it has ended, and a test has failed for it
            self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(50)


def _result(answer: dict[str, Any]) -> Result:
    if "error" in answer:
        raise RunError(answer["error"], answer["text"])
    out, err = (base64.b64decode(answer[name]).decode(errors="replace") for name in ("stdout", "stderr"))
    events = [json.loads(line) for line in answer["events"]]
    return Result(answer["status"], answer["reason"], out, err, events)
