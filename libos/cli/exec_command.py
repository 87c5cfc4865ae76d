"""`libos exec`: a further program in a running world."""

from __future__ import annotations

import click

from libos.cli import completing
from libos.cli.options import WithCommand


@click.command("exec", cls=WithCommand, context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="NAME", shell_complete=completing.worlds)
@click.option(
    "-e",
    "--env",
    "environment",
    metavar="NAME[=VALUE]",
    multiple=True,
    help="Set a variable besides the app's own; without a value, pass on the one set here.",
)
@click.option(
    "-w", "--workdir", "directory", metavar="DIRECTORY", help="The working directory; else the app's."
)
@click.option(
    "-i", "--interactive", is_flag=True, help="For docker's sake: standard input is always passed on."
)
@click.option(
    "-t/-T",
    "--terminal/--no-terminal",
    "terminal",
    default=None,
    help="Give it a terminal of its own. Default: when all standard streams are one.",
)
@click.argument("words", metavar="[COMMAND ...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    name: str,
    environment: tuple[str, ...],
    directory: str | None,
    interactive: bool,
    terminal: bool | None,
    words: tuple[str, ...],
) -> int:
    """Run COMMAND in the running world NAME, within the same walls as its app.

    It ends when the world ends, and when this command is ended. The exit status is its own, as with `libos
    run`. """  # fmt: skip
    from libos.cli.run_command import choose_terminal

    wanted = words or ctx.meta.get("libos.command", ())
    if not wanted:
        raise click.UsageError("name a command: libos exec NAME -- sh", ctx)
    wants_terminal = choose_terminal(terminal)

    from libos.cli.executor import execute

    return execute(name, list(wanted), list(environment), directory, wants_terminal)
