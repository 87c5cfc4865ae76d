"""`libos trace`: events as lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

from libos.cli import completing
from libos.cli.options import (
    ViewOptions,
    WithCommand,
    path_option,
    take_view,
    view_given,
    view_options_but_manifest,
)
from libos.cli.show import say

if TYPE_CHECKING:
    from libos.events import Event
    from libos.seen import Filter


@click.command("trace", cls=WithCommand)
@click.argument(
    "manifest_path",
    metavar="[APP|FILE|MANIFEST]",
    required=False,
    shell_complete=completing.worlds_and_files,
)
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until the world ends.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="Only this kind: path.absent, or dial for all of it.",
)
@path_option
@click.option(
    "--op", "operations", multiple=True, metavar="OPERATION", help="Only this operation: read, write …"
)
@click.option(
    "--program",
    "programs",
    multiple=True,
    metavar="NAME",
    help="Only what this program did, where that is known.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON, one a line.")
@view_options_but_manifest
@click.pass_context
def command(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    follow: bool,
    kinds: tuple[str, ...],
    paths: tuple[str, ...],
    operations: tuple[str, ...],
    programs: tuple[str, ...],
    as_json: bool,
    **parameters: Any,
) -> int | None:
    """Print what happens in a world, one line an event: in the running world APP, in a FILE of events, or in
    COMMAND, which is run in the world of MANIFEST (a .toml file) or of the profile base, and of the options
    of `libos run`.

    WORDs filter: kind:dial, op:read, path:/etc, program:curl, or any text; -WORD turns one round. How many
    events were filtered out is said at the end. Of a COMMAND the lines go to standard error, and the status
    is its own.
    """
    from libos.seen import Filter

    filtering = Filter.of(kinds=kinds, operations=operations, paths=paths, programs=programs, words=words)
    view = take_view(ctx, parameters)
    printing = _Printing(filtering, sys.stderr if view.command else sys.stdout, as_json)
    try:
        if view.command:
            return _run(view, printing)
        if view.manifest_path is None:
            raise click.UsageError("name a running world, a file of events, or a command after --", ctx)
        if view_given(ctx):
            raise click.UsageError("the options of libos run are for a command after --", ctx)
        _trace(view.manifest_path, follow, printing)
    finally:
        if filtering.out:
            say(filtering.said())
    return None


class _Printing:
    """Prints the events that pass; the world's name where there is more than one."""

    def __init__(self, filtering: Filter, stream: TextIO, as_json: bool) -> None:
        self._filter = filtering
        self._stream = stream
        self._as_json = as_json
        self._worlds: set[str] = set()

    def event(self, event: Event) -> None:
        if event.world is not None and len(self._worlds) < 2:
            self._worlds.add(event.world)
        if self._filter.passes(event):
            from libos.seen.lines import line

            shown = event.json() if self._as_json else line(event, world=len(self._worlds) > 1)
            self._stream.write(f"{shown}\n")

    def flush(self) -> None:
        self._stream.flush()


def _trace(source: str, follow: bool, printing: _Printing) -> None:
    from libos.cli.event_sources import open_source

    with open_source(source, follow=follow) as events:
        for event in events:
            if event is None:
                printing.flush()
            else:
                printing.event(event)
    printing.flush()


def _run(view: ViewOptions, printing: _Printing) -> int:
    manifest = view.manifest()
    from libos.cli.runner import Request, run  # trio and pyfuse3: only once all is known to be good

    def tell(event: Event) -> None:
        printing.event(event)
        printing.flush()

    return run(
        Request(
            manifest, terminal=False, events=None, report=False, serve_all=False, observe=tell, enclosed=True
        )
    )
