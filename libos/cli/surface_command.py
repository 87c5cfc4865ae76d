"""`libos surface`: what an app could touch, counted, side by side with the place outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.options import WithCommand
from libos.cli.outputs import check_writable, replace_file
from libos.cli.progress import StatusLine
from libos.cli.show import complain, harmless, say
from libos.errors import LibosError

if TYPE_CHECKING:
    from libos.surface.survey import Survey

_EPILOG = """\b
  libos surface app.toml
  libos surface -- python3
  libos surface --plot surface.svg wide.toml narrow.toml"""


class PlotError(LibosError):
    """The picture cannot be written or drawn."""


@click.command("surface", cls=WithCommand, epilog=_EPILOG)
@click.argument("manifests", metavar="[MANIFEST]...", nargs=-1, shell_complete=completing.files)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option("--plot", "plot", metavar="FILE.svg", help="Draw complexity against attack surface.")
@click.option("--bwrap", "bwrap", metavar="FLAGS", multiple=True,
              help="How bubblewrap is started, in place of its usual flags; may be repeated.")  # fmt: skip
@click.option("--most", "most", metavar="NUMBER", type=click.IntRange(min=1),
              help="Stop a walk after so many files; 5,000,000 unless said.")  # fmt: skip
@click.option("--within", "within", metavar="TIME", help="Stop a walk after this time; 5min unless said.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    manifests: tuple[str, ...],
    as_json: bool,
    plot: str | None,
    bwrap: tuple[str, ...],
    most: int | None,
    within: str | None,
) -> int:
    """Count what an app could touch: outside, under bubblewrap, under its profile, under its MANIFEST.

    Nothing of the app is run: a probe walks each place as the app would see it. Without a MANIFEST the
    profile is COMMAND's. A walk over a large disk takes a while; Ctrl-C ends it.
    """
    from libos.manifest.values import duration
    from libos.surface.places import places

    try:
        chosen = places(manifests, ctx.meta.get("libos.command", ()), bwrap)
        seconds = None if within is None else duration(within)
    except ValueError as wrong:
        raise click.UsageError(str(wrong), ctx) from wrong
    if plot is not None:
        check_writable(plot, "--plot")
    from libos.cli.stoppable import run
    from libos.surface.measuring import DEFAULT_MOST, DEFAULT_SECONDS, Bounds, Measuring

    bounds = Bounds(most or DEFAULT_MOST, seconds or DEFAULT_SECONDS)
    progress = Progress()
    measuring = Measuring(bounds, progress.tell)
    try:
        found = run(lambda: measuring.run(chosen))
    finally:
        progress.clear()
    if plot is not None:
        _draw(found, plot)
    _print(found, as_json=as_json)
    return _told(found)


class Progress:
    """How far the walks are."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._seen: dict[str, int] = {}
        self.clear = self._line.clear

    def tell(self, place: str, files: int) -> None:
        """Show that a place has so many files until now."""
        self._seen[place] = files
        told = ", ".join(f"{harmless(name)} {count:,}" for name, count in self._seen.items())
        self._line.show(f"libos: files until now: {told}")


def _draw(found: list[Survey], path: str) -> None:
    from libos.surface.axes import attack_surface, complexity, outside_of
    from libos.surface.plot import Point, svg

    outside = outside_of(found)
    if outside is None:
        raise PlotError("--plot: the place outside was not measured, and everything is compared with it")
    points = [
        Point(each.place, complexity(each), attack_surface(each, outside), each.complete)
        for each in found
        if each.problem is None
    ]
    replace_file(path, svg(points), "--plot")


def _print(found: list[Survey], *, as_json: bool) -> None:
    if as_json:
        from libos.surface.telling import surveys_json

        click.echo(json.dumps(surveys_json(found), indent=2))
    else:
        from libos.surface.telling import table

        click.echo(table(found))


def _told(found: list[Survey]) -> int:
    """Say what cannot stand in the table; the exit status."""
    from libos.surface.telling import closing, notes

    lines: list[tuple[Callable[[str], None], str]] = [(say, note) for note in notes(found)]
    lines += [(complain, f"{each.place}: {each.problem}") for each in found if each.problem]
    lines += [(say, line) for line in closing(found)]
    for speak, line in lines:
        speak(line)
    failed = any(each.problem for each in found if each.needed)
    return LibosError.exit_status if failed else 0
