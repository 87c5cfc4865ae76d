"""`libos publish`: make a port of a running world reachable from outside."""

from __future__ import annotations

from typing import Any

import click

from libos.cli import completing


@click.command("publish")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("what", metavar="PORT|[IP:]PORT:PORT[/udp]")
@click.option("--proxy-protocol", is_flag=True, help="Tell the app who connects: PROXY protocol, version 2.")
@click.option("--label", "label", metavar="LABEL", help="Its label, where the world has labels.")
def command(name: str, what: str, proxy_protocol: bool, label: str | None) -> None:
    """Make a port of the running world APP reachable on this host; the port outside stands first.

    At 127.0.0.1 unless an IP is said, or at a unix socket: unix:/PATH:PORT. Port 0 outside is any free one.
    Prints the id of the grant, which `libos revoke` takes back, and where it is reached."""
    from libos.control.client import ask
    from libos.control.folder import open_folder
    from libos.errors import ManifestError
    from libos.manifest.listening import published_option

    try:
        wanted = published_option(what)
    except ValueError as wrong:
        raise ManifestError(f"{what}: {wrong}") from None
    request: dict[str, Any] = {"request": "publish", "port": wanted.port, "publish": wanted.published}
    if proxy_protocol:
        request["proxy_protocol"] = True
    if label is not None:
        request["label"] = label
    with open_folder() as folder:
        grant = ask(folder, name, request)["grant"]
    click.echo(f"{grant['id']} {grant['at']}")
