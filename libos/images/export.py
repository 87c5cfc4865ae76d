"""From kept changes to an OCI layout: what they were made over, and one layer more.

Rules:
- Over an image, its layers are copied from where it came from, each checked against its digest; over a
  directory of the host, the directory as it stands is the first layer.
- The same changes give the same layer, byte for byte: entries are sorted, owners are 0, times are the files'.
- A blob appears whole, by rename; the index that names the image is written last.

Specification: OCI image layout, image manifest, image configuration and layer file system changeset, 1.1.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from libos.images import layout, store
from libos.images.errors import ImageError
from libos.images.layout import Image, Layer, blob_name
from libos.images.names import WHITEOUT
from libos.images.reference import parse
from libos.images.streams import Hashed
from libos.images.unpacking import found
from libos.kept.comparing import Found
from libos.kept.kept import choosing
from libos.kept.store import Store
from libos.kept.tree import Tree, join

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME = "org.opencontainers.image.ref.name"
_TAR = tarfile.PAX_FORMAT


def export(name: str, folder: Path, tag: str = "latest", at: str | None = None) -> str:
    """Write the image of what is kept under a name into an OCI layout, new or there already, and give the
    digest of its manifest. `at` is the mount, where the run had several. ImageError, ChangesError."""
    with Store(name) as changes, choosing(changes, ()) as all_changed:
        pairs = [pair for pair in changes.pairs() if at in (None, pair.at)]
        if len(pairs) != 1:
            known = ", ".join(pair.at for pair in changes.pairs())
            raise ImageError(f'"{name}" has changes of {known}: choose one mount, by --at')
        parts = [
            part
            for each in all_changed
            if each.layers.pair == pairs[0]
            for entry in each.entries
            for part in entry.parts
        ]
        upper = next((each.layers.upper for each in all_changed if each.layers.pair == pairs[0]), None)
        target = _Layout(folder)
        below, layers, config = _base(target, Path(pairs[0].host))
        if upper is not None:
            layers.append(target.pack(lambda tar: _changes(tar, upper, parts, below)))
        return target.finish(layers, config, tag)


def _base(target: _Layout, host: Path) -> tuple[bytes, list[Layer], dict[str, Any]]:
    """What changes were made over: where in the image that is, its layers, and its configuration."""
    if not any((folder / store.RECORD).exists() for folder in host.parents):
        with Tree.at(str(host)) as tree:
            return b"", [target.pack(lambda tar: _whole(tar, tree))], {}
    folder = store.folder_above(str(host))
    kept = store.read(folder.name.replace("-", ":", 1))
    assert kept is not None
    for source in kept.sources:
        with suppress(ImageError, OSError), found(parse(source)) as (image, opener):
            if image.chain[-1] == kept.id:
                below = os.fsencode(os.path.relpath(host, folder / "root"))
                return b"" if below == b"." else below, target.copy(image, opener), image.config
    raise ImageError(
        f"its layers are not to be had from {' or '.join(kept.sources)}: put the image there again"
    )


class _Layout:
    """An OCI layout that is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if folder.exists() and not (folder / "oci-layout").exists() and any(folder.iterdir()):
            raise ImageError(
                f"{folder} holds other things than an OCI layout: name an empty folder, or a new one"
            )
        (folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def copy(self, image: Image, opener: layout.Opener) -> list[Layer]:
        """Copy the layers of an image."""
        for layer in image.layers:
            with opener(blob_name(layer.digest)) as source:
                hashed = Hashed(source, layer.digest)
                self._blob(lambda file, hashed=hashed: shutil.copyfileobj(hashed, file), layer.digest)  # type: ignore[misc]
                hashed.finish(f"layer {layer.digest}")
        return list(image.layers)

    def pack(self, fill: Callable[[tarfile.TarFile], None]) -> Layer:
        """A layer of what `fill` puts into a tar."""

        def write(file: IO[bytes]) -> None:
            with tarfile.open(fileobj=file, mode="w", format=_TAR) as tar:
                fill(tar)

        digest, size = self._blob(write)
        return Layer(digest, digest, _LAYER, size)

    def document(self, value: dict[str, Any]) -> tuple[str, int]:
        """The digest and the size of a blob of JSON."""
        data = json.dumps(value, sort_keys=True).encode()
        return self._blob(lambda file: file.write(data))

    def _blob(self, write: Callable[[IO[bytes]], object], digest: str | None = None) -> tuple[str, int]:
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".partial-") as file:
            write(file)
            file.flush()
            file.seek(0)
            hashed = Hashed(file, digest or "sha256:")
            while hashed.read(1 << 20):
                pass
            digest = digest or hashed.digest
            os.fsync(file.fileno())
            place = self._folder / blob_name(digest)
            place.parent.mkdir(exist_ok=True)
            os.fchmod(file.fileno(), 0o644)
            with suppress(FileExistsError):
                os.link(file.name, place)
            return digest, hashed.size

    def finish(self, layers: list[Layer], config: dict[str, Any], tag: str) -> str:
        """Write the configuration, the manifest and the index; give the manifest's digest."""
        config = {"architecture": layout.machine(), "os": "linux", **config}
        config["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        config.pop("history", None)  # it has a line for each layer, and nobody knows one for this one
        described, size = self.document(config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": described, "size": size},
            "layers": [self._described(layer) for layer in layers],
        }
        digest, size = self.document(manifest)
        self._name({"mediaType": _MANIFEST, "digest": digest, "size": size, "annotations": {_NAME: tag}}, tag)
        return digest

    def _described(self, layer: Layer) -> dict[str, Any]:
        size = (self._folder / blob_name(layer.digest)).stat().st_size
        return {"mediaType": layer.media_type or _LAYER, "digest": layer.digest, "size": size}

    def _name(self, entry: dict[str, Any], tag: str) -> None:
        index: dict[str, Any] = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}
        path = self._folder / "index.json"
        with suppress(FileNotFoundError):
            index = json.loads(path.read_bytes())
        others = [each for each in index["manifests"] if (each.get("annotations") or {}).get(_NAME) != tag]
        index["manifests"] = [*others, entry]
        for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            new = self._folder / f".{name}.new"
            new.write_text(json.dumps(value))
            new.rename(self._folder / name)


def _changes(tar: tarfile.TarFile, upper: Tree, parts: Iterable[Found], below: bytes) -> None:
    gone: set[bytes] = set()
    for part in sorted(parts, key=lambda part: part.path.split(b"/")):
        path = join(below, part.path) if part.path else below
        if part.upper is not None:
            _add(tar, upper, part.path, path, part.upper)
        elif part.path.rpartition(b"/")[0] not in gone:
            folder, slash, last = path.rpartition(b"/")
            tar.addfile(_entry(folder + slash + WHITEOUT + last))
            gone.add(part.path)
        else:
            gone.add(part.path)


def _whole(tar: tarfile.TarFile, tree: Tree) -> None:
    waiting = [b""]
    while waiting:
        path = waiting.pop()
        status = tree.stat(path)
        if status is not None:
            _add(tar, tree, path, path, status)
            if stat.S_ISDIR(status.st_mode):
                waiting += [join(path, name) for name in reversed(tree.names(path))]


def _entry(path: bytes) -> tarfile.TarInfo:
    return tarfile.TarInfo(os.fsdecode(path) or ".")


def _add(tar: tarfile.TarFile, tree: Tree, path: bytes, name: bytes, status: os.stat_result) -> None:
    entry = _entry(name)
    entry.mode = tree.mode(status) & 0o1777
    entry.mtime = status.st_mtime_ns // 1_000_000_000
    if stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, os.fsdecode(tree.target(path))
        tar.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        with tree.opened(path) as fd, open(os.dup(fd), "rb") as file:
            entry.size = os.fstat(fd).st_size
            tar.addfile(entry, file)
    else:
        raise ImageError(f"{os.fsdecode(name)} is a FIFO, a socket or a device: an image holds none")
