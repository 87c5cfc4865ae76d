"""`libos dial`: let a running world connect somewhere more."""

from __future__ import annotations

from typing import Any

import click

from libos.cli import completing


@click.command("dial")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("to", metavar="ADDRESS")
@click.option("--deny", "deny", multiple=True, metavar="ADDRESS", help="What it does not cover after all.")
@click.option("--private", is_flag=True, help="The name may lead to private and loopback addresses.")
@click.option(
    "--via", "via", metavar="WAY", help="Another way: an address, unix!/path, socks5:// or http://."
)
@click.option("--connections", "connections", type=int, metavar="N", help="At most so many at once.")
@click.option("--sent", "sent", metavar="SIZE", help="Bytes that may go out in all: 10M.")
@click.option("--received", "received", metavar="SIZE", help="Bytes that may come in, in all: 1G.")
@click.option("--rate", "rate", metavar="RATE", help="Bytes a second each way, 1M, or bits, 8Mbit.")
@click.option("--ask", "ask", is_flag=True, help="Each address waits for your answer: libos ask.")
@click.option("--label", "label", metavar="LABEL", help="Its label, where the world has labels.")
def command(name: str, to: str, deny: tuple[str, ...], **keys: Any) -> None:
    """Let the running world APP connect to ADDRESS, as tcp!api.example.com!443; names may have wildcards.

    Prints the id of the grant, which `libos revoke` takes back."""
    from libos.control.client import ask
    from libos.control.folder import open_folder

    said = {key: value for key, value in keys.items() if value}
    if keys["connections"] == 0:
        said["connections"] = 0
    if deny:
        said["deny"] = list(deny)
    with open_folder() as folder:
        answer = ask(folder, name, {"request": "dial", "to": to, "keys": said})
    click.echo(answer["grant"]["id"])
