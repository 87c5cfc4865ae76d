"""`libos image`: images of this host, unpacked for worlds to mount, and made of what a run changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from libos.cli.show import columns, harmless, say

if TYPE_CHECKING:
    from libos.images.reference import Reference


@click.group("image")
def command() -> None:
    """Unpack images, list and remove what is unpacked, and make an image of kept changes.

    An image is named by where it lies: oci:DIR[:TAG], oci-archive:FILE[:TAG], or a tar of one layer. A
    manifest mounts it by image = "…", which unpacks it too.
    """


@command.command("import")
@click.argument("image")
@click.option("--max-size", metavar="SIZE", help="The most that its files may have together (16G).")
@click.option("--max-entries", metavar="N", type=click.IntRange(1), help="The most entries (1000000).")
@click.option("--max-depth", metavar="N", type=click.IntRange(1), help="The most names in a path (128).")
@click.option("--max-ratio", metavar="N", type=click.IntRange(1), help="The most bytes out of one (200).")
def import_command(image: str, max_size: str | None, **most: int | None) -> None:
    """Unpack IMAGE, each blob checked against its digest, and print its identity.

    What is unpacked already is left as it is. Nothing of a layer that is refused is left.
    """
    from libos.images.bounds import Bounds
    from libos.images.unpacking import unpacked
    from libos.manifest import values

    given = {name.removeprefix("max_"): value for name, value in most.items() if value is not None}
    try:
        reference = _parsed(image)
        if max_size is not None:
            given["size"] = values.size(max_size)
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    click.echo(unpacked(reference, Bounds(**given)).id)


def _parsed(image: str) -> Reference:
    from libos.images.reference import parse

    return parse(image).absolute(os.getcwd())


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, version 1.")
def ls_command(as_json: bool) -> None:
    """List the images that are unpacked: identity, layers, bytes, and where each came from."""
    from libos.images.store import listed

    found = listed()
    if as_json:
        images = [
            {
                "id": each.id,
                "layers": len(each.chain),
                "bytes": each.size,
                "entries": each.entries,
                "sources": list(each.sources),
                "root": str(each.root),
            }
            for each in found
        ]
        click.echo(json.dumps({"version": 1, "images": images}, indent=2))
        return
    rows = [
        (each.id[:19], str(len(each.chain)), str(each.size), harmless(", ".join(each.sources)))
        for each in found
    ]
    click.echo(columns(rows, ("IMAGE", "LAYERS", "BYTES", "FROM")))


@command.command("rm")
@click.argument("image", nargs=-1, required=True)
def rm_command(image: tuple[str, ...]) -> None:
    """Remove unpacked images, by identity (the first digits do) or by where they came from. The layout or the
    tar stays."""
    from libos.images.errors import ImageError
    from libos.images.store import listed, remove

    for each in image:
        prefix = each if ":" in each else f"sha256:{each}"
        found = [kept for kept in listed() if kept.id.startswith(prefix)] if len(prefix) >= 11 else []
        if not found:
            try:
                source = str(_parsed(each))
            except ValueError:
                source = each
            found = [kept for kept in listed() if source in kept.sources]
        if len(found) != 1:
            raise ImageError(f'"{each}" is {len(found) or "no"} unpacked images: libos image ls lists them')
        remove(found[0].id)


@command.command("export")
@click.argument("name")
@click.argument("directory")
@click.option("--tag", default="latest", show_default=True, help="The name of the image in the layout.")
@click.option("--at", metavar="MOUNT", help="Whose changes, where the run had several copy-on-write mounts.")
def export_command(name: str, directory: str, tag: str, at: str | None) -> None:
    """Write the changes kept as NAME, with what is below them, as an image into the OCI layout DIRECTORY.

    The layers of the image below are taken from where it came from; a directory of the host becomes a layer
    as it stands. Prints the digest of the image's manifest.
    """
    from pathlib import Path

    from libos.images.export import export

    digest = export(name, Path(directory), tag, at)
    click.echo(digest)
    say(f"it is oci:{directory}:{tag}")
