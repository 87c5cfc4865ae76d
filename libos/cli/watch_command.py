"""`libos watch`: a running world, or an event file, in the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from libos.cli import completing

if TYPE_CHECKING:
    from libos.watch.screen import Watch


@click.command("watch")
@click.argument("what", metavar="[APP|EVENTS]", required=False, shell_complete=completing.worlds_and_files)
@click.option("--world", "world", metavar="NAME", help="Of an event file: this world alone.")
@click.pass_context
def command(ctx: click.Context, what: str | None, world: str | None) -> None:
    """Look at a running world, or at the event file EVENTS: what it holds and uses, every attempt, and what
    would grant it. Without an argument, at the only world that runs.

    Each key that changes something shows the command line that it stands for; ? lists them. A world is never
    changed by looking, and runs on when you leave.
    """
    from libos.watch.sources import FileSource, source_of

    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        raise click.UsageError("it needs a terminal; libos trace prints the events as lines", ctx)
    view = _view()
    source = source_of(what)
    if world is not None and not isinstance(source, FileSource):
        raise click.UsageError("--world chooses from an event file; a running world is named itself", ctx)
    view(source, world).run()


def _view() -> type[Watch]:
    """The view's class. Raises HostError where Textual is not installed."""
    from libos.errors import HostError

    try:
        import textual  # noqa: F401
    except ModuleNotFoundError as error:
        raise HostError(
            "libos watch draws with Textual, which is not installed: pip install 'libos[watch]'"
        ) from error
    from libos.watch.screen import Watch

    return Watch
