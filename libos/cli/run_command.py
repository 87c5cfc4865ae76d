"""`libos run`: a program in a world, from the manifest to the exit status."""

from __future__ import annotations

import os
import shutil
from typing import Any

import click

from libos.cli.options import WithCommand, take_view, view_options
from libos.cli.terminal import is_terminal
from libos.errors import HostError, SupervisorError


@click.command("run", cls=WithCommand)
@view_options
@click.option("--events", "events", metavar="FILE|FD", help="Write events there, one JSON object a line.")
@click.option("--report", is_flag=True, help="Say afterwards what the app asked for and did not get.")
@click.option(
    "--serve-all", is_flag=True, help="Lower nothing: libos itself answers every file. Slow; for learning."
)
@click.option(
    "-i", "--interactive", is_flag=True, help="For docker's sake: standard input is always passed on."
)
@click.option("-t/-T", "--terminal/--no-terminal", "terminal", default=None,
              help="Give the app a terminal of its own; by default when all streams are one.")  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    events: str | None,
    report: bool,
    serve_all: bool,
    interactive: bool,
    terminal: bool | None,
    **parameters: Any,
) -> int:
    """Run the app of MANIFEST, or COMMAND, in a world that holds what is named and nothing else.

    Without a manifest the world is the profile base: the programs and libraries below /usr, and an empty
    /tmp. The exit status is the app's own; 128+N for a signal, 124 when its time ran out, 125 when libos
    failed, 126 when the command cannot be run, 127 when it is not in the world, 2 for an error in the
    manifest or the options.
    """
    view = take_view(ctx, parameters)
    if view.manifest_path is None and not view.command:
        raise click.UsageError("nothing to run: name a manifest, or a command after --", ctx)
    _refuse_program_as_manifest(view.manifest_path, ctx)
    wants_terminal = choose_terminal(terminal)
    manifest = view.manifest()
    if "/" in (manifest.app.name or ""):
        if events is not None or report or serve_all:
            raise click.UsageError("--events, --report and --serve-all belong to the world above", ctx)
        from libos.cli.below import run_below

        return run_below(view, manifest, terminal=wants_terminal)

    from libos.cli.runner import Request, run  # trio and pyfuse3: only once the manifest is known to be good

    try:
        return run(Request(manifest, wants_terminal, events, report, serve_all, enclosed=True))
    except (HostError, SupervisorError):
        from libos.cli.doctor_command import explain_failure

        explain_failure()
        raise


def _refuse_program_as_manifest(path: str | None, ctx: click.Context) -> None:
    """Tell who forgets the dashes: `libos run ls`."""
    if path and "/" not in path and not os.path.exists(path) and shutil.which(path):
        told = f'"{path}" is no manifest but a program; a command stands after --: libos run -- {path}'
        raise click.UsageError(told, ctx)


def choose_terminal(asked: bool | None) -> bool:
    """Decide on a terminal of the app's own: as asked, else when each standard stream is a terminal.

    One stream that goes elsewhere means that its data must get there unmixed, so there is no pty then.
    """
    if asked is None:
        return all(is_terminal(fd) for fd in (0, 1, 2))
    if asked and not is_terminal(0):
        raise click.UsageError("-t needs a terminal, and standard input is none")
    return asked
