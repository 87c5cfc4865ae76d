"""What the process of `libos run` may open: `behind_landlock.py FOLDER enclosed|open` goes behind Landlock as
it does, for a manifest that grants FOLDER/read to read, FOLDER/write to write and FOLDER/copy as a copy, and
prints what becomes of each attempt as JSON: "done", or the name of its errno."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from libos.cli.enclosing import control_needs, enclose
from libos.manifest import from_mapping


def attempts(folder: Path, out_fd: int, other: int, terminal: str) -> dict[str, Callable[[], object]]:
    """All that is tried, by its name. `out_fd` is an O_PATH descriptor of a file that is not granted, `other`
    a process of the same user, `terminal` one that is not the caller's."""
    read, write, out = folder / "read", folder / "write", folder / "out"
    return {
        "read what is granted": (read / "file").read_text,
        "list what is granted": lambda: os.listdir(read),
        "read a copy": (folder / "copy" / "file").read_text,
        "write where that is granted": lambda: (write / "file").write_text("new"),
        "make there": (write / "folder").mkdir,
        "link there": lambda: os.link(write / "file", write / "folder" / "linked"),
        "move there": lambda: (write / "file").rename(write / "folder" / "file"),
        "remove there": (write / "folder" / "file").unlink,
        "read the system": Path("/etc/passwd").read_text,
        "read its own environment": Path("/proc/self/environ").read_bytes,
        "read memory that it has open": Path(f"/proc/self/fd/{os.memfd_create('memory')}").read_bytes,
        "write to read-only": lambda: (read / "file").write_text("new"),
        "truncate read-only": lambda: os.truncate(read / "file", 0),
        "write to a copy": lambda: (folder / "copy" / "file").write_text("new"),
        "make in read-only": lambda: (read / "new").write_text(""),
        "remove from read-only": (read / "gone").unlink,
        "move out of read-only": lambda: (read / "moved").rename(write / "moved"),
        "link out of read-only": lambda: os.link(read / "file", write / "hard"),
        "read elsewhere": (out / "file").read_text,
        "list elsewhere": lambda: os.listdir(out),
        "write elsewhere": lambda: (out / "file").write_text("new"),
        "make elsewhere": (out / "new").mkdir,
        "a socket elsewhere": lambda: os.mknod(out / "socket", 0o140600),
        "remove elsewhere": (out / "gone").unlink,
        "by a link in what is granted": (write / "astray").read_text,
        "by ..": (write / ".." / "out" / "file").read_text,
        "by a descriptor that was there": lambda: os.close(os.open(f"/proc/self/fd/{out_fd}", os.O_RDONLY)),
        "by its own root": Path(f"/proc/self/root{out}/file").read_text,
        "a terminal": lambda: os.close(os.open(terminal, os.O_WRONLY | os.O_NOCTTY)),
        "by another root": Path(f"/proc/{other}/root{out}/file").read_text,
        "by another's descriptors": lambda: os.readlink(f"/proc/{other}/fd/0"),
        "execute": lambda: subprocess.run(["/bin/true"], check=True),
        "execute what is granted": lambda: subprocess.run([folder / "write" / "program"], check=True),
    }


def main() -> None:
    """Go behind Landlock, or not, and try."""
    folder, how = Path(sys.argv[1]), sys.argv[2]
    modes = {"read": "read-only", "write": "read-write", "copy": "copy-on-write"}
    mounts = [{"at": f"/{name}", "host": f"{folder}/{name}", "mode": mode} for name, mode in modes.items()]
    manifest = from_mapping({"libos": 1, "include": ["base"], "app": {"command": ["true"]}, "mount": mounts})
    out_fd = os.open(folder / "out" / "file", os.O_PATH)
    call = enclose([manifest], control_needs())
    terminal = os.ttyname(os.openpty()[1])
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        enclosure = call() if how == "enclosed" else None
        tried = attempts(folder, out_fd, other.pid, terminal)
        found = {name: _try(attempt) for name, attempt in tried.items()}
        assert other.stdin is not None
        other.stdin.close()
    if enclosure is not None:
        for name in (*modes, "out"):
            fd = os.open(folder / name, os.O_PATH)
            found[f"covers {name}"] = "".join("ny"[enclosure.covers(fd, change)] for change in (False, True))
    print(json.dumps(found))


def _try(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


if __name__ == "__main__":
    main()
