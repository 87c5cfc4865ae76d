"""`libos unmount`: take a mount out of a running world."""

from __future__ import annotations

import click

from libos.cli import completing


@click.command("unmount")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("at", metavar="AT")
def command(name: str, at: str) -> None:
    """Take out what is mounted at AT in the running world APP, and what is mounted below it."""
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        ask(folder, name, {"request": "unmount", "at": at})
