"""`libos grants`: what a running world holds."""

from __future__ import annotations

import json

import click

from libos.cli import completing
from libos.cli.show import columns, harmless

_VERSION = 1


@click.command("grants")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.option("--json", "as_json", is_flag=True, help="Print the grants as JSON.")
def command(name: str, as_json: bool) -> None:
    """List what the running world APP holds: id, place, what it is, what gives it, where it was asked for."""
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        grants = ask(folder, name, {"request": "grants"})["grants"]
    if as_json:
        click.echo(json.dumps({"version": _VERSION, "grants": grants}, indent=2))
        return
    keys = ("id", "at", "what", "mechanism", "from")
    rows = (tuple(harmless(str(grant[key])) for key in keys) for grant in grants)
    click.echo(columns(rows, ("ID", "AT", "WHAT", "MECHANISM", "FROM")))
