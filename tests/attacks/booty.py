"""The files that attacks are after: what is granted, and the secret beside it.

    secret/key      granted to nobody
    work/           read-write           served/    read-write, served
    shown/          read-only            hidden/    read-only, served: it has a layer
    copied/         copy-on-write
    all/            read-write, with all/inner and all/inner-served once more at places of their own

Every file is the account's, so that nothing but the walls stands before it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts import Account

WORD = "the secret word"
GRANTED = ("work", "served", "shown", "hidden", "copied", "all", "all/inner", "all/inner-served")


@dataclass(frozen=True)
class Scene:
    """A folder of the host with all that. `folder` is the account's own."""

    folder: Path

    @property
    def secret(self) -> str:
        return str(self.folder / "secret/key")

    def mounts(self) -> list[dict[str, Any]]:
        """The grants of the world that is attacked."""
        at = {name: str(self.folder / name) for name in GRANTED}
        return [
            {"at": "/work", "host": at["work"], "mode": "read-write"},
            {"at": "/served", "host": at["served"], "mode": "read-write", "revocable": True},
            {"at": "/shown", "host": at["shown"]},
            {"at": "/hidden", "host": at["hidden"], "hide": ["*.pem"]},
            {"at": "/copied", "host": at["copied"], "mode": "copy-on-write"},
            {"at": "/all", "host": at["all"], "mode": "read-write"},
            {"at": "/inner", "host": at["all/inner"], "mode": "read-write"},
            {"at": "/inner-served", "host": at["all/inner-served"], "mode": "read-write", "revocable": True},
        ]

    def inside(self) -> dict[str, Any]:
        """What the programs are told in a world."""
        places = {name.rpartition("/")[2]: "/" + name.rpartition("/")[2] for name in GRANTED}
        return {"secret": self.secret, "handle": handle(self.secret), **places}

    def outside(self) -> dict[str, Any]:
        """What they are told outside."""
        places = {name.rpartition("/")[2]: str(self.folder / name) for name in GRANTED}
        return {"secret": self.secret, "handle": handle(self.secret), **places}

    def manifest(self, **more: Any) -> dict[str, Any]:
        """A manifest of the profile python with the grants; `more` are further top-level entries."""
        return {"libos": 1, "include": ["python"], "mount": [*self.mounts(), *more.pop("mount", [])], **more}


@contextmanager
def scene(account: Account) -> Iterator[Scene]:
    """A new one in the account's folder."""
    folder = account.folder / "scene"
    for name in ("secret", *GRANTED):
        (folder / name).mkdir(parents=True)
        for file in ("file", "other"):
            (folder / name / file).write_text("as it was")
    (folder / "secret/key").write_text(WORD)
    (folder / "hidden/key.pem").write_text(WORD)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.uid)
    yield Scene(folder)
    shutil.rmtree(folder, ignore_errors=True)  # what is left goes with the account's folder


def handle(path: str) -> str:
    """The kernel's handle of a file, in hexadecimal; "" where there is none. name_to_handle_at(2)"""
    libc = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer((128).to_bytes(4, "little"), 8 + 128)
    if libc.name_to_handle_at(-100, path.encode(), buffer, ctypes.byref(ctypes.c_int()), 0):
        return ""
    return buffer.raw[: 8 + int.from_bytes(buffer.raw[:4], "little")].hex()


def state(folder: Path) -> dict[str, object]:
    """All that can be seen of a tree: names, modes, owners, times of change, contents, attributes."""
    found: dict[str, object] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        at = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path)}
        found[str(path)] = (at.st_mode, at.st_uid, at.st_gid, at.st_mtime_ns, at.st_ctime_ns, at.st_nlink)
        found[f"{path}:content"] = (content, attributes)
    return found
