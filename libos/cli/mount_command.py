"""`libos mount`: mount something more in a running world."""

from __future__ import annotations

from typing import Any

import click

from libos.cli import completing


@click.command("mount")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("what", metavar="SRC:AT[:ro|rw|cow][,before|after]")
@click.option("--hide", "hide", multiple=True, metavar="PATTERN", help="Absent in it: a gitignore pattern.")
@click.option("--revocable", is_flag=True, help="Serve it, so that a revoke fails what is open of it too.")
@click.option("--ask", "asks", is_flag=True, help="Each file waits for your answer: libos ask.")
@click.option("--label", "label", metavar="LABEL", help="Its label, where the world has labels.")
def command(
    name: str, what: str, hide: tuple[str, ...], revocable: bool, asks: bool, label: str | None
) -> None:
    """Mount a file or directory of this host in the running world APP, read-only unless said.

    With "before" or "after" it joins what stands at AT as a union. Prints the id of the grant, which `libos
    revoke` takes back."""
    import os

    from libos.control.client import ask
    from libos.control.folder import open_folder
    from libos.errors import ManifestError
    from libos.manifest.options import split_joining, split_mount
    from libos.manifest.paths import absolute

    try:
        rest, order = split_joining(what)
        source, at, mode = split_mount(rest)
    except ValueError as wrong:
        raise ManifestError(f"{what}: {wrong}") from None
    mount: dict[str, Any] = {"host": absolute(source, os.curdir), "mode": str(mode)}
    mount["host"] = os.path.abspath(mount["host"])
    if order is not None:
        mount["order"] = str(order)
    if hide:
        mount["hide"] = list(hide)
    if revocable:
        mount["revocable"] = True
    if asks:
        mount["ask"] = True
    if label is not None:
        mount["label"] = label
    with open_folder() as folder:
        answer = ask(folder, name, {"request": "mount", "at": at, "mount": mount})
    click.echo(answer["grant"]["id"])
