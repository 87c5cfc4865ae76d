"""`libos revoke`: take a grant back from a running world."""

from __future__ import annotations

from typing import Any

import click

from libos.cli import completing


@click.command("revoke")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("grant", metavar="GRANT")
@click.option("--notice", metavar="TIME", help="Tell the app first, and give it this long: 5s, 2min.")
def command(name: str, grant: str, notice: str | None) -> None:
    """Take GRANT (its id in `libos grants`, or its place) back from the running world APP, with all that was
    made from it. With --notice the app may give it back itself first; what it has not in time is taken.

    What Python serves fails with EIO where it is open. A kernel mount is detached: what is open of it lives
    on.
    """
    from libos.control.client import ANSWER_SECONDS, ask
    from libos.control.folder import open_folder
    from libos.errors import ManifestError
    from libos.manifest.values import duration

    request: dict[str, Any] = {"request": "revoke", "grant": grant}
    seconds = ANSWER_SECONDS
    if notice is not None:
        try:
            request["notice"] = duration(notice)
        except ValueError as wrong:
            raise ManifestError(f"--notice {notice}: {wrong}") from None
        seconds += request["notice"]
    with open_folder() as folder:
        ask(folder, name, request, seconds)
