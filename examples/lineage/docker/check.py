"""An image in layers below copy-on-write: containers share it, and what each changes is one layer more."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, MissingError, Property, scratch
from docker.pack import LAYERS, pack
from probing import made, read, said

import libos
from libos.images.export import export
from libos.images.reference import parse
from libos.images.unpacking import unpacked

TITLE = "Docker, 2013: images in layers, copy-on-write, one command"
HERE = Path(__file__).parent
MANIFEST = HERE / "container.toml"
IMAGE = {"page": "one\n", "old": "of the image\n"}
CHANGES = ["A /app/new", "D /app/old", "M /app/page"]
REFUSED = "is not what its digest says"

PROPERTIES = {
    "layers": Property(
        "an image is its layers in order: a name in an upper one hides what is below, or takes it away",
        "the image has the lowest layer alone",
        lambda saw: saw == IMAGE,
    ),
    "digest": Property(
        "a layer of which one byte was changed is refused, and nothing of it is left",
        "its digest is changed with it, in all that name it",
        lambda saw: REFUSED in saw["said"] and saw["left"] == [],
    ),
    "copy": Property(
        "a container changes its copy, and the image stays as it was",
        "the tree of the image is mounted read-write",
        lambda saw: saw == {"the container": "one two", "the image": IMAGE},
    ),
    "layer": Property(
        "what a container changed is a layer: it is there again, and another container has the image",
        "the container is run without a name, so that nothing is kept",
        lambda saw: saw == {"again": "one two", "another": "one"},
    ),
    "diff": Property(
        "the layer is shown as what was added, modified and deleted",
        "the container is run without a name, so that nothing is kept",
        lambda saw: saw == CHANGES,
    ),
    "commit": Property(
        "what a container changed makes an image of one layer more, and the image below stays",
        "it is discarded instead",
        lambda saw: saw == {"layers": 3, "the new image": {"page": "one\ntwo\n", "new": "made\n"}},
    ),
}


def container(image: Path, command: str | None = None, **mount: str) -> libos.Manifest:
    """The manifest on an image, perhaps with another command or another mount."""
    value = read(MANIFEST)
    value["mount"][0] |= {"image": f"oci:{image}"}
    if mount:
        value["mount"][0] = {"at": "/app", **mount}
    if command is not None:
        value["app"]["command"] = ["sh", "-c", command]
    return made(value, MANIFEST)


def tree(image: Path) -> Path:
    """Where an image is unpacked."""
    return unpacked(parse(f"oci:{image}")).root


def files(folder: Path) -> dict[str, str]:
    """What a folder holds."""
    return {path.name: path.read_text() for path in folder.iterdir()}


async def words(supervisor: libos.Supervisor, manifest: libos.Manifest, keep: str | None = None) -> str:
    """What a container says, on one line."""
    try:
        return " ".join((await said(supervisor, manifest, keep=keep)).split())
    except libos.ChangesError as error:
        raise MissingError(f"changes cannot be kept here: {error}") from None


async def refused(supervisor: libos.Supervisor, layout: Path, *, digests_too: bool) -> dict[str, Any]:
    """What becomes of an image whose upper layer was changed, and what is unpacked of that layer."""
    index = json.loads((layout / "index.json").read_text())
    manifest = layout / "blobs/sha256" / index["manifests"][0]["digest"].partition(":")[2]
    layer = json.loads(manifest.read_text())["layers"][1]["digest"]
    blob = layout / "blobs/sha256" / layer.partition(":")[2]
    if digests_too:
        shutil.copytree(LAYERS, layout / "layers")
        (layout / "layers/2-page/page").write_text("One\n")
        pack(layout / "changed", sorted((layout / "layers").iterdir()))
        layout = layout / "changed"
    else:
        blob.write_bytes(blob.read_bytes().replace(b"one\n", b"One\n"))
    before = unpackings()
    try:
        told = await words(supervisor, container(layout, "cat page"))
    except libos.ManifestError as error:
        told = str(error)
    return {"said": told, "left": sorted(unpackings() - before)}


def unpackings() -> set[str]:
    """What there is in the store, but for the layer below, which is sound."""
    store = Path(os.environ["XDG_CACHE_HOME"]) / "libos/images"
    return {
        path.parent.parent.name for path in store.glob("*/root/page") if path.read_text().lower() == "one\n"
    }


async def on_a_copy(supervisor: libos.Supervisor, image: Path, *, copied: bool) -> dict[str, Any]:
    """Let a container change an image's tree, or its copy of it."""
    way = {} if copied else {"host": str(tree(image)), "mode": "read-write"}
    said_inside = await words(supervisor, container(image, **way))
    return {"the container": said_inside, "the image": files(tree(image))}


async def layered(supervisor: libos.Supervisor, image: Path, *, kept: bool) -> dict[str, Any]:
    """What a container finds when it is run again, and what another one on the same image finds."""
    await words(supervisor, container(image), "c1" if kept else None)
    look = container(image, "cat page")
    return {
        "again": await words(supervisor, look, "c1" if kept else None),
        "another": await words(supervisor, look, "c2" if kept else None),
    }


def shown() -> list[str] | str:
    """The layer of the container that is named c1, or why there is none."""
    try:
        return sorted(f"{change.kind} {change.path}" for change in libos.changes("c1"))
    except libos.ChangesError as error:
        return str(error)


def committed(target: Path, *, discards: bool) -> dict[str, Any]:
    """The image that is made of c1, and what it holds."""
    if discards:
        libos.changes("c1").discard(["*"])
    export("c1", target)
    return {
        "layers": len(unpacked(parse(f"oci:{target}:latest")).chain),
        "the new image": files(tree(target)),
    }


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run containers on images, each in a folder that goes."""
    with scratch() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"  # nothing that is kept or unpacked stays
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        one, two = folder / "one", Path(shutil.copytree(HERE / "image", folder / "two"))
        pack(one, sorted(LAYERS.iterdir())[: 1 if without == "layers" else 2])
        digest = await refused(supervisor, two, digests_too=without == "digest")
        layers = files(tree(one))
        image = folder / "image"
        pack(image, sorted(LAYERS.iterdir()))
        layer = await layered(supervisor, image, kept=without not in ("layer", "diff"))
        diff = await trio.to_thread.run_sync(shown)
        if without in ("layer", "diff"):
            await words(supervisor, container(image), "c1")
        commit = await trio.to_thread.run_sync(
            lambda: committed(folder / "new", discards=without == "commit")
        )
        copy = await on_a_copy(supervisor, image, copied=without != "copy")
    return {
        "layers": layers, "digest": digest, "copy": copy, "layer": layer, "diff": diff, "commit": commit,
    }  # fmt: skip
