"""OCI layouts and tars that tests make, right ones and wrong ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# An entry: its name, and a file's content, None for a directory, or a change of the header.
Entry = tuple[str, bytes | Callable[[tarfile.TarInfo], None] | None]


def tar(entries: Iterable[Entry]) -> bytes:
    """A tar of these entries, in order."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, what in entries:
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            if isinstance(what, bytes):
                entry.size = len(what)
                out.addfile(entry, io.BytesIO(what))
                continue
            if what is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            else:
                what(entry)
            out.addfile(entry)
    return written.getvalue()


def link(target: str, *, hard: bool = False) -> Callable[[tarfile.TarInfo], None]:
    """Make an entry a link."""

    def change(entry: tarfile.TarInfo) -> None:
        entry.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
        entry.linkname = target

    return change


def kind(letter: bytes) -> Callable[[tarfile.TarInfo], None]:
    """Make an entry one of another type: a device, a FIFO."""

    def change(entry: tarfile.TarInfo) -> None:
        entry.type, entry.devmajor, entry.devminor = letter, 1, 3

    return change


def layout(folder: Path, tars: Iterable[bytes], *, diff_ids: list[str] | None = None) -> Path:
    """Write a layout of one image with these layers, whose configuration may say others."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    tars = list(tars)
    diff_ids = diff_ids or [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in tars]
    config = blob(json.dumps({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode())
    layers = [blob(gzip.compress(each, mtime=0)) for each in tars]
    entry = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode())
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def seen(top: Path) -> dict[str, str | None]:
    """What stands below a directory: a file's text, a link's target behind an arrow, None for a directory."""
    found: dict[str, str | None] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = None if path.is_dir() else path.read_text()
    return found
