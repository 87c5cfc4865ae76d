"""`libos report`: one page of a run, from its events."""

from __future__ import annotations

from pathlib import Path

import click

from libos.cli import completing
from libos.cli.outputs import replace_file
from libos.cli.show import say


@click.command("report")
@click.argument("events", metavar="EVENTS", shell_complete=completing.files)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the page there; - is standard output. By default beside EVENTS, its name ending in .html.",
)
@click.option("--world", metavar="NAME", help="The world to show, where the events are of several.")
def command(events: str, output: str | None, world: str | None) -> None:
    """Make one page of a run from its event file, as `libos run --events` writes it; - is standard input.

    The page is a single HTML file without scripts that loads nothing: a drawn tree of the world, a time line,
    what was absent or refused and what would grant it, grants and which of them were never used, connections,
    limits and peaks. It says what it leaves out.
    """
    where = output or _beside(events)

    from libos.page.making import report  # the templates: only once the options are known to be good

    html = report(events, world)
    if where == "-":
        click.echo(html, nl=False)
        return
    try:
        _write(Path(where), html)
    except OSError as error:
        raise click.UsageError(f"{where}: {error.strerror}") from error
    say(f"the page is {where}")


def _beside(events: str) -> str:
    if events == "-":
        raise click.UsageError("where should the page go? Name a file: -o run.html")
    if not Path(events).name:
        raise click.UsageError(f"{events} is no file of events")
    beside = Path(events).with_suffix(".html")
    if str(beside) == events:
        raise click.UsageError(f"{events} would be overwritten: name another file with -o")
    return str(beside)


def _write(path: Path, html: str) -> None:
    """Write a file whole or not at all; a pipe as it is."""
    if path.exists() and not path.is_file():  # /dev/stdout too
        path.write_text(html, "utf-8")
    else:
        replace_file(str(path), html)
