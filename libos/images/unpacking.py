"""From a reference to a tree in the store, unpacked if it is not there yet. Blocks: for a thread."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from libos.images import layout, store
from libos.images.bounds import Bounds, Count
from libos.images.errors import ImageError
from libos.images.layer import Making
from libos.images.layout import Image, Layer, Opener
from libos.images.reference import Reference
from libos.images.store import Kept
from libos.images.streams import Hashed, Unpacking
from libos.kept.tree import Tree

# What marks a tar that holds a layout, and is no file tree.
_LAYOUT = b"oci-layout"


def unpacked(reference: Reference, bounds: Bounds | None = None) -> Kept:
    """The tree of an image, whose path is absolute. Each blob is checked against its digest meanwhile.

    ImageError with the reason: not there, not what its digests say, beyond the bounds, not to be unpacked;
    then nothing of the layer is left. One process unpacks at a time, another one waits for it.
    """
    with _told(reference), found(reference) as (image, opener):
        kept = store.read(image.chain[-1])
        if kept is not None and str(reference) in kept.sources:
            return kept
        with store.locked() as top:
            return _Unpacked(image, opener, top, bounds or Bounds()).kept()


@contextmanager
def _told(reference: Reference) -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f"image {reference}: {error}") from None
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        raise ImageError(f"image {reference}: {where}{error.strerror}") from error


@contextmanager
def found(reference: Reference) -> Iterator[tuple[Image, Opener]]:
    """Give what an image consists of, and what opens its blobs. ImageError, OSError."""
    if reference.kind != "tar":
        with layout.opened(reference) as opener:
            yield layout.read_layout(reference, opener), opener
        return
    status = os.stat(reference.path)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    digest = _digest(reference.path, identity)
    yield Image(reference, (Layer(digest, digest),), {}), lambda _: open(reference.path, "rb")  # noqa: SIM115 - its reader closes it


@lru_cache(maxsize=64)
def _digest(path: str, identity: tuple[int, ...]) -> str:
    """The digest of a file that is what it was."""
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


class _Unpacked:
    """One image on its way into the store, which is locked."""

    def __init__(self, image: Image, opener: Opener, top: Path, bounds: Bounds) -> None:
        self._image = image
        self._opener = opener
        self._top = top
        self._bounds = bounds

    def kept(self) -> Kept:
        """The tree of all layers."""
        chain = self._image.chain
        there = [number for number, identity in enumerate(chain) if store.read(identity) is not None]
        first = there[-1] if there else 0
        kept: Kept | None = None
        for number in range(first, len(chain)):
            kept = store.read(chain[number]) or self._add(number, kept)
        assert kept is not None
        source = str(self._image.reference)
        return kept if source in kept.sources else store.add_source(self._top, kept, source)

    def _add(self, number: int, lower: Kept | None) -> Kept:
        chain = self._image.chain[: number + 1]

        def make(tree: Tree) -> Kept:
            count = Count(self._bounds, lower.size if lower else 0, lower.entries if lower else 0)
            making = Making(tree, count)
            if lower is not None:
                with Tree.at(str(lower.root)) as below:
                    making.copy(below)
            self._apply(making, self._image.layers[number], count)
            if self._image.reference.kind == "tar" and tree.stat(_LAYOUT) is not None:
                raise ImageError("it is an OCI archive and no file tree: write oci-archive: before it")
            making.finish()
            config = self._image.config if number == len(self._image.layers) - 1 else {}
            return Kept(chain[-1], tuple(chain), (), count.size, count.entries, config)

        return store.add(self._top, make)

    def _apply(self, making: Making, layer: Layer, count: Count) -> None:
        with self._opener(layout.blob_name(layer.digest)) as file:
            blob = Hashed(file, layer.digest)
            tar = Hashed(Unpacking(blob, count), layer.diff_id)
            what = f"layer {layer.digest[:19]}…"
            try:
                making.apply(tar)
                # Of a tar by itself the digest is of the file as it stands, whatever its compression.
                if layer.digest != layer.diff_id:
                    tar.finish(f"the tar of {what}")
                blob.finish(what)
            except ImageError as error:
                raise ImageError(f"{what}: {error}") from None
