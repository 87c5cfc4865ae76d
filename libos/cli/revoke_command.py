"""`libos revoke`: take a grant back from a running world."""

from __future__ import annotations

import click

from libos.cli import completing


@click.command("revoke")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("grant", metavar="GRANT")
def command(name: str, grant: str) -> None:
    """Take GRANT (its id in `libos grants`, or its place) back from the running world APP, with all that was
    made from it.

    What Python serves fails with EIO where it is open. A kernel mount is detached: what is open of it lives
    on.
    """
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        ask(folder, name, {"request": "revoke", "grant": grant})
