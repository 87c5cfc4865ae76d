"""An image below copy-on-write: containers share it, and each has a layer, which is shown and committed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, MissingError, Property, scratch
from probing import made, read, said

import libos

TITLE = "Docker, 2013: images in layers, copy-on-write, one command"
HERE = Path(__file__).parent
MANIFEST = HERE / "container.toml"
IMAGE = {"page": "one\n", "old": "of the image\n"}
CHANGES = ["A /app/new", "D /app/old", "M /app/page"]

PROPERTIES = {
    "copy": Property(
        "a container changes its copy, and the image stays as it was",
        "the image is mounted read-write",
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
        "what is chosen of it can be committed to the image, and the rest is not there",
        "it is discarded instead",
        lambda saw: saw == {"page": "one\ntwo\n", "old": "of the image\n"},
    ),
}


def container(image: Path, command: str | None = None, mode: str = "copy-on-write") -> libos.Manifest:
    """The manifest on an image, perhaps with another command."""
    value = read(MANIFEST)
    value["mount"][0] |= {"host": str(image), "mode": mode}
    if command is not None:
        value["app"]["command"] = ["sh", "-c", command]
    return made(value, MANIFEST)


def files(folder: Path) -> dict[str, str]:
    """What an image holds."""
    return {path.name: path.read_text() for path in folder.iterdir()}


async def words(supervisor: libos.Supervisor, manifest: libos.Manifest, keep: str | None = None) -> str:
    """What a container says, on one line."""
    try:
        return " ".join((await said(supervisor, manifest, keep=keep)).split())
    except libos.ChangesError as error:
        raise MissingError(f"changes cannot be kept here: {error}") from None


async def on_a_copy(supervisor: libos.Supervisor, image: Path, mode: str) -> dict[str, Any]:
    """Let a container change an image, or its copy of it."""
    said_inside = await words(supervisor, container(image, mode=mode))
    return {"the container": said_inside, "the image": files(image)}


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


def taken(image: Path, *, commits: bool) -> dict[str, str]:
    """The image once one change of c1 was committed, or discarded."""
    kept = libos.changes("c1")
    (kept.commit if commits else kept.discard)(["page"])
    return files(image)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run containers on images, each in a folder that goes."""
    with scratch() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"  # nothing that is kept stays
        images = [Path(shutil.copytree(HERE / "image", folder / name)) for name in ("one", "two")]
        mode = "read-write" if without == "copy" else "copy-on-write"
        copy = await on_a_copy(supervisor, images[0], mode)
        layer = await layered(supervisor, images[1], kept=without not in ("layer", "diff"))
        diff = await trio.to_thread.run_sync(shown)
        if without in ("layer", "diff"):
            await words(supervisor, container(images[1]), "c1")
        committed = await trio.to_thread.run_sync(lambda: taken(images[1], commits=without != "commit"))
    return {"copy": copy, "layer": layer, "diff": diff, "commit": committed}
