"""What an OCI layout holds: from its index to the layers of one image, each file checked against its digest.

Specification: OCI image layout, image index, image manifest and image configuration, 1.1. Read by hand, since
each run of a world reads it: three small files.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from libos.images import digests
from libos.images.errors import ImageError
from libos.images.reference import Reference
from libos.kept.tree import Tree

# Bytes of an index, a manifest or a configuration; what registries take of a manifest at most.
_DOCUMENT_MAX = 4 << 20
# Layers of one image: overlayfs takes 500 (kernel, fs/overlayfs/params.h), docker 127.
_LAYERS_MAX = 500
# Indexes in indexes: one for the tags and one for the machines is what there is.
_INDEXES_MAX = 4
_REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# What machines are called there: GOARCH of Go.
_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "riscv64": "riscv64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}

Opener = Callable[[str], IO[bytes]]


@dataclass(frozen=True)
class Layer:
    """One layer: the digest of its blob, and of the tar in it."""

    digest: str
    diff_id: str
    media_type: str = ""
    size: int = 0


@dataclass(frozen=True)
class Image:
    """An image that was found: its layers, the lowest first, and its configuration."""

    reference: Reference
    layers: tuple[Layer, ...]
    config: dict[str, Any]
    manifest: str = ""  # its digest

    @property
    def chain(self) -> list[str]:
        """For each layer the identity of what it makes with all below it; the last one is the image's."""
        return digests.chain([layer.diff_id for layer in self.layers])


def read_layout(reference: Reference, opener: Opener) -> Image:
    """The image of a layout that the reference names. ImageError."""
    entry = _chosen(_document(opener, "index.json"), reference.tag)
    for _ in range(_INDEXES_MAX):
        digest = digests.checked(_field(entry, "digest", str))
        document = _blob(opener, digest)
        if entry.get("mediaType") not in _INDEX_TYPES and "manifests" not in document:
            return _image(reference, opener, document, digest)
        entry = _chosen(document, None)
    raise ImageError("its indexes lead to indexes without end")


def _chosen(index: dict[str, Any], tag: str | None) -> dict[str, Any]:
    entries = [each for each in _field(index, "manifests", list) if isinstance(each, dict)]
    tags = {str((each.get("annotations") or {}).get(_REF_NAME, "")) for each in entries} - {""}
    if tag is not None:
        entries = [each for each in entries if (each.get("annotations") or {}).get(_REF_NAME) == tag]
    if len(entries) > 1:
        entries = [each for each in entries if _runs_here(each.get("platform"))] or entries
    if len(entries) == 1:
        return entries[0]
    which = f'of the tag "{tag}"' if tag else f"for {machine()}"
    known = f"; it has the tags {', '.join(sorted(tags))}: name one behind a colon" if tags else ""
    raise ImageError(f"it has {len(entries) or 'no'} images {which}{known}")


def machine() -> str:
    """What the images of this machine are for."""
    return _MACHINES.get(platform.machine(), platform.machine())


def _runs_here(what: object) -> bool:
    if not isinstance(what, dict):
        return True
    return what.get("os") == "linux" and what.get("architecture") == machine()


def _image(reference: Reference, opener: Opener, manifest: dict[str, Any], digest: str) -> Image:
    config = _blob(opener, digests.checked(_field(_field(manifest, "config", dict), "digest", str)))
    described = _field(manifest, "layers", list)
    diff_ids = _field(_field(config, "rootfs", dict), "diff_ids", list)
    if not 0 < len(described) <= _LAYERS_MAX or len(described) != len(diff_ids):
        raise ImageError(
            f"it has {len(described)} layers, and its configuration names {len(diff_ids)}: "
            f"both are the same number, from 1 to {_LAYERS_MAX}"
        )
    layers = tuple(_layer(each, diff_id) for each, diff_id in zip(described, diff_ids, strict=True))
    return Image(reference, layers, config, digest)


def _layer(described: object, diff_id: object) -> Layer:
    if not isinstance(described, dict):
        raise ImageError("a layer of it is not described")
    size = described.get("size")
    kind = described.get("mediaType")
    return Layer(
        digests.checked(described.get("digest")),
        digests.checked(diff_id),
        kind if isinstance(kind, str) else "",
        size if isinstance(size, int) and size >= 0 else 0,
    )


def blob_name(digest: str) -> str:
    """Where a layout has the blob of a digest."""
    return f"blobs/{digest.replace(':', '/')}"


def _blob(opener: Opener, digest: str) -> dict[str, Any]:
    return _document(opener, blob_name(digest), digest)


def _document(opener: Opener, name: str, digest: str | None = None) -> dict[str, Any]:
    with opener(name) as file:
        data = file.read(_DOCUMENT_MAX + 1)
    if len(data) > _DOCUMENT_MAX:
        raise ImageError(f"{name} is larger than {_DOCUMENT_MAX} bytes")
    if digest is not None:
        found = digests.hashing(digest)
        found.update(data)
        if found.hexdigest() != digest.partition(":")[2]:
            raise ImageError(f"{name} is not what its digest says: it was changed, or never whole")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ImageError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise ImageError(f"{name} holds no object")
    return value


def _field(value: dict[str, Any], name: str, kind: type) -> Any:
    found = value.get(name)
    if not isinstance(found, kind):
        raise ImageError(f'what it says has no "{name}", or one of another kind')
    return found


@contextmanager
def opened(reference: Reference) -> Iterator[Opener]:
    """Give what opens the files of a layout. ImageError where there is none; OSError."""
    if reference.kind == "oci":
        with Tree.at(os.path.realpath(reference.path)) as tree:
            yield lambda name: _in_folder(tree, name)
        return
    try:
        with tarfile.open(reference.path, "r:") as tar:
            yield lambda name: _in_tar(tar, name)
    except tarfile.TarError as error:
        raise ImageError(f"it is no whole tar, or a compressed one: {error}") from None


def _in_folder(tree: Tree, name: str) -> IO[bytes]:
    try:
        with tree.opened(name.encode()) as fd:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return open(os.dup(fd), "rb")
    except FileNotFoundError:
        raise ImageError(f"it has no {name}: is it an OCI layout, and a whole one?") from None
    raise ImageError(f"{name} is no file")


def _in_tar(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        found = tar.getmember(name)
    except KeyError:
        raise ImageError(f"it has no {name}: is it an OCI archive, and a whole one?") from None
    file = tar.extractfile(found) if found.isreg() else None
    if file is None:
        raise ImageError(f"{name} is no file")
    return file
