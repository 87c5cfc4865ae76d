"""What the program inside is put on: a directory of the machine itself, which is the reference, and trees in
worlds that the `libos` command starts.

A copy-on-write tree and a read-only one find directories that were made beforehand, so that what they meet is
the host's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import accounts
from accounts import Account

INSIDE = Path(__file__).with_name("inside")
# The same interpreter in a world and outside: the one that the host's /usr has.
PYTHON = ["/usr/bin/python3", "-I", "-S"]
# Directories that cases find in a copy-on-write tree; what is beyond they make themselves.
PREMADE = 600


@dataclass(frozen=True)
class Subject:
    """A mount of a manifest. `premade`: how many directories it has for cases."""

    mount: str
    served: bool = True
    premade: int = 0


HOST = "host = {folder}, mode = "
SUBJECTS = {
    "host": Subject(HOST + '"read-write"'),
    "memory": Subject('memory = "64M"'),
    "copy-on-write": Subject(HOST + '"copy-on-write"'),
}
# Where cases meet files that the host has, the reference is the kernel's own overlay.
OVERLAY = {
    "lowered": Subject(HOST + '"copy-on-write"', served=False, premade=PREMADE),
    "served": Subject(HOST + '"copy-on-write"', premade=PREMADE),
}
# For what a read-only tree refuses, the reference is the same mount made by the kernel.
READ_ONLY = {
    "lowered": Subject(HOST + '"read-only"', served=False, premade=1),
    "served": Subject(HOST + '"read-only"', premade=1),
}


def outcomes(command: list[str], account: Account, folder: Path) -> dict[str, str]:
    """What the program printed."""
    result = account.run(command, cwd=folder, timeout=500)
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout)
    return found


def reference(group: str) -> dict[str, str]:
    """What a directory of this machine does for an ordinary user, as every app is one."""
    with accounts.account("user") as account:
        (account.folder / "tree").mkdir()
        shutil.chown(account.folder / "tree", account.uid, account.uid if account.prefix else None)
        return outcomes([*PYTHON, str(INSIDE / "program.py"), group], account, account.folder / "tree")


def in_world(subject: Subject, account: Account, group: str) -> dict[str, str]:
    """What a tree in a world does."""
    with made(subject, account) as folder:
        source = subject.mount.format(folder=json.dumps(str(folder)))
        manifest = account.folder / "posix.toml"
        command = [*PYTHON, "/posix/program.py", group]
        manifest.write_text(
            f"""libos = 1
include = ["python"]
app.command = {json.dumps(command)}
app.directory = "/t"
mount = [{{ at = "/posix", host = {json.dumps(str(INSIDE))} }}, {{ at = "/t", {source} }}]
"""
        )
        options = ["--serve-all"] if subject.served else []
        return outcomes(account.libos("run", *options, str(manifest)), account, account.folder)


@contextmanager
def made(subject: Subject, account: Account) -> Iterator[Path]:
    """The host's folder, as the account's own."""
    folder = Path(tempfile.mkdtemp(prefix="tree-", dir=account.folder))
    os.chown(folder, account.uid, account.folder.stat().st_gid)
    if subject.premade:
        program = [*PYTHON, str(INSIDE / "program.py"), "fill", str(subject.premade)]
        account.run(program, cwd=folder, check=True)
    yield folder


def names_of_groups() -> list[str]:
    """The names of all groups of cases."""
    command = [*PYTHON, str(INSIDE / "program.py"), "groups"]
    found: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found
