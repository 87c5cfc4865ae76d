"""The users as whom the system tests start programs: an ordinary one, and root where the suite runs as root.

A test that takes the fixture `as_user` runs once for each of them. Rules: the ordinary user is uid 1000,
without a passwd entry, groups and capabilities; his HOME and folder are his own and go with the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# The first uid that Debian and Ubuntu give to a person (adduser.conf(5), FIRST_UID).
ORDINARY_UID = 1000


@dataclass(frozen=True)
class Account:
    """Somebody who starts programs. `folder` is the account's own (mode 0700) and goes with the test."""

    name: str
    uid: int
    prefix: tuple[str, ...]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """A small environment: PATH with the suite's own programs first, HOME and TMPDIR in the folder."""
        programs = str(Path(sys.executable).parent)
        path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        kept = {key: os.environ[key] for key in ("PYTEST_CURRENT_TEST", "TERM") if key in os.environ}
        folder = str(self.folder)
        return {
            **kept,
            "PATH": path,
            "HOME": folder,
            "TMPDIR": folder,
            "XDG_RUNTIME_DIR": folder,
            "LANG": "C.UTF-8",
        }

    def command(self, *argv: str) -> list[str]:
        """What runs `argv` as this account, for who starts it himself; `environment` goes with it."""
        return [*self.prefix, *argv]

    def python(self, *argv: str) -> list[str]:
        """What runs the suite's own Python; for `run` and `command`, which add the change of user."""
        return [sys.executable, *argv]

    def libos(self, *argv: str) -> list[str]:
        """What runs the `libos` command; for `run` and `command`, which add the change of user."""
        return [str(Path(sys.executable).parent / "libos"), *argv]

    def run(self, argv: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        """Run `argv` as this account, in its folder and environment, its output captured as text."""
        settings: dict[str, object] = {"env": self.environment, "cwd": self.folder, "timeout": 50}
        settings |= {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        return subprocess.run(self.command(*argv), **(settings | options))  # type: ignore[call-overload,no-any-return]  # subprocess.run's own

    def start(self, argv: Sequence[str], **options: object) -> subprocess.Popen[str]:
        """Start `argv` as this account, in its folder and environment, its streams as text."""
        settings: dict[str, object] = {"env": self.environment, "cwd": self.folder, "text": True}
        return subprocess.Popen(self.command(*argv), **(settings | options))  # type: ignore[call-overload,no-any-return]  # subprocess.Popen's own


def names() -> list[str]:
    """The accounts that this suite can act as."""
    return ["root", "user"] if os.geteuid() == 0 else ["user"]


def _prefix(name: str) -> tuple[str, ...]:
    if os.geteuid() != 0 or name == "root":
        return ()
    return ("setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups", "--")


def why_not(name: str) -> str | None:
    """The reason for which this account cannot run the suite's programs, or None.

    A shell tries it, as the account's programs will: setpriv itself still has root's rights when it execs.
    """
    probe = [*_prefix(name), "sh", "-c", '"$0" -c "import libos"', sys.executable]
    if subprocess.run(probe, capture_output=True, cwd="/").returncode == 0:
        return None
    return f"{name} cannot execute {sys.executable}, though `make test` makes a venv that everybody can"


@contextmanager
def account(name: str) -> Iterator[Account]:
    """An account with a fresh folder below /tmp, removed at the end."""
    prefix = _prefix(name)
    uid = ORDINARY_UID if prefix else os.geteuid()
    folder = Path(tempfile.mkdtemp(prefix="libos-test-"))
    try:
        os.chown(folder, uid, uid if prefix else -1)
        yield Account(name, uid, prefix, folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove an account's folder. The keeper of a supervisor that was killed removes its socket meanwhile,
    which is no error: then it is tried again."""
    for left in range(5, -1, -1):
        try:
            # A test may leave a directory that even its owner may not enter.
            subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=not left, capture_output=True)
            shutil.rmtree(folder)
            return
        except FileNotFoundError:
            if not left:
                raise
