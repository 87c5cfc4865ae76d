"""Packs folders into an OCI layout, a layer each: how `image` was made of `layers`.

    python examples/lineage/docker/pack.py DIRECTORY [FOLDER ...]

A file `.wh.NAME` in a folder says that NAME of the layers below is gone. The same folders give the same
layout.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LAYERS = Path(__file__).parent / "layers"
_TYPE = "application/vnd.oci.image"


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry without what differs from one checkout to the next."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def packed(folder: Path) -> bytes:
    """One folder as a layer."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        tar.add(folder, ".", filter=_plain)
    return written.getvalue()


def pack(layout: Path, folders: Sequence[Path]) -> None:
    """Write a layout with one image."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"{_TYPE}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    layers = [blob(packed(folder), "layer.v1.tar") for folder in folders]
    root = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
    config = {"os": "linux", "architecture": "unknown", "rootfs": root}
    manifest = {"schemaVersion": 2, "config": blob(json.dumps(config).encode(), "config.v1+json")}
    entry = blob(json.dumps(manifest | {"layers": layers}).encode(), "manifest.v1+json")
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}) + "\n")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')


if __name__ == "__main__":
    pack(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]] or sorted(LAYERS.iterdir()))
