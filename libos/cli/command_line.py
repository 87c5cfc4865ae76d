"""The command line: finds the command, and turns every way to fail into its exit status and one
message.

Each command is a module of this package, imported when it is asked for; a module imports what is slow (trio
and pyfuse3 140 ms, rich 27) inside the function that needs it. So `libos ps` takes no longer than Python
and click.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from libos.cli import streams
from libos.cli.sections import COMMANDS, SECTIONS
from libos.cli.show import complain
from libos.cli.status import LIBOS_FAILED
from libos.errors import LibosError

# 128 + SIGINT and 128 + SIGPIPE, as the shell reports them.
_INTERRUPTED = 130
_BROKEN_PIPE = 141


class _Commands(click.Group):
    """Imports a command when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(
            f"libos.cli.{cmd_name.replace('-', '_')}_command"
        ).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """By section, from the table alone: no command is imported to be listed."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="libos", message="%(prog)s %(version)s")
def libos() -> None:
    """Run a program in a world of its own: it sees what its manifest mounts, and nothing else."""


def run() -> NoReturn:
    """Run the command line of this process; ends the process."""
    streams.open_all()
    status = _status(_run)
    status = status or _status(sys.stdout.flush)
    # No interpreter teardown: with everything ended and flushed it would only take 20 ms of the caller's
    # time.
    os._exit(status)


def _run() -> object:
    try:
        return libos.main(prog_name="libos", standalone_mode=False)
    except SystemExit as end:  # click's end of a completion, and, with 1, its answer to EPIPE
        if not end.code:
            return 0
        raise BrokenPipeError from end


def _status(work: Callable[[], object]) -> int:
    """Do the work and give the exit status; what it raises is told."""
    try:
        result = work()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)  # the whole help, as plain as --help prints it
        return error.exit_code
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"{error.ctx.get_usage()}\nHelp: {error.ctx.command_path} --help", err=True)
        complain(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except LibosError as error:
        complain(str(error))
        return error.exit_status
    except ExceptionGroup as error:
        gone, others = error.split(BrokenPipeError)
        return _BROKEN_PIPE if gone is not None and others is None else _report_fault(error)
    except Exception as error:
        return _report_fault(error)
    return result if isinstance(result, int) else 0


def _report_fault(error: Exception) -> int:
    """Show a fault of libos itself: 125, never a status that could be the app's."""
    import traceback

    traceback.print_exception(error)
    complain(f"libos failed: {type(error).__name__}: {error}")
    return LIBOS_FAILED
