"""`libos narrow`: take something from a grant of a running world."""

from __future__ import annotations

from typing import Any

import click

from libos.cli import completing


@click.command("narrow")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("grant", metavar="GRANT")
@click.option("--read-only", "read_only", is_flag=True, help="Of files: nothing can be written by it.")
@click.option("--hide", "hide", multiple=True, metavar="PATTERN", help="Of files: absent from now on.")
@click.option("--only", "only", multiple=True, metavar="PATTERN", help="Of files: all else is absent.")
@click.option("--deny", "deny", multiple=True, metavar="ADDRESS", help="Of a dial: it covers this no more.")
@click.option("--connections", "connections", type=int, metavar="N", help="Of a dial: at most so many.")
@click.option("--sent", "sent", metavar="SIZE", help="Of a dial: bytes that may go out in all.")
@click.option("--received", "received", metavar="SIZE", help="Of a dial: bytes that may come in, in all.")
@click.option("--rate", "rate", metavar="RATE", help="Of a dial: bytes a second each way, or 8Mbit.")
@click.pass_context
def command(ctx: click.Context, /, name: str, grant: str, **keys: Any) -> None:
    """Take something from GRANT (its id in `libos grants`, or its place) of the running world APP.

    At once, and for all that was made from it; it cannot be given back.

    PATTERN is one of gitignore(5). Connections to what is denied are reset, and the youngest of those that
    are too many.
    """
    from libos.control.client import ask
    from libos.control.folder import open_folder

    taken = {key: value for key, value in keys.items() if value is not False and value not in (None, ())}
    if not taken:
        raise click.UsageError("say what to take: --read-only, --hide, --only, --deny, --connections …", ctx)
    taken |= {key: list(value) for key, value in taken.items() if isinstance(value, tuple)}
    with open_folder() as folder:
        ask(folder, name, {"request": "narrow", "grant": grant, "keys": taken})
