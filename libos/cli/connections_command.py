"""`libos connections`: what a running world is connected to."""

from __future__ import annotations

import json
from typing import Any

import click

from libos.cli import completing
from libos.cli.show import columns, complain, harmless

_VERSION = 1


@click.command("connections")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.option("--json", "as_json", is_flag=True, help="Print the connections as JSON.")
def command(name: str, as_json: bool) -> None:
    """List the open connections of the running world APP: number, grant, address, where it leads, who opened
    it, bytes sent and received, age."""
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        found = ask(folder, name, {"request": "connections"})
    if as_json:
        click.echo(json.dumps({"version": _VERSION, "connections": found["connections"]}, indent=2))
    else:
        head = ("ID", "GRANT", "ADDRESS", "WITH", "PROGRAM", "SENT", "RECEIVED", "SECONDS")
        click.echo(columns(map(_row, found["connections"]), head))
    if found["more"]:
        complain(f"{found['more']} further connections are open")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    program = "-" if each["program"] is None else f"{each['program']}/{each['pid']}"
    other = each.get("to") or each.get("peer") or "-"
    shown = (each["connection"], each.get("grant") or "-", each["address"], other, program)
    return (
        *(harmless(str(cell)) for cell in shown),
        str(each["sent"]),
        str(each["received"]),
        f"{each['seconds']:.1f}",
    )
