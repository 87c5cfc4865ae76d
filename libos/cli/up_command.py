"""`libos up`: several worlds, linked and supervised, from one file."""

from __future__ import annotations

import click

from libos.cli import completing


@click.command("up")
@click.argument("file", default="stack.toml", metavar="[FILE]", shell_complete=completing.files)
@click.option("-d", "--detach", is_flag=True, help="Come back once all worlds are ready; libos down stops.")
@click.option("--check", is_flag=True, help="Say what would be started, in which order, and start nothing.")
@click.option("--events", "events", metavar="FILE|FD", help="Write events there, one JSON object a line.")
@click.option("--ready-fd", type=int, hidden=True)
def command(file: str, detach: bool, check: bool, events: str | None, ready_fd: int | None) -> int:
    """Start the worlds of FILE (stack.toml unless named), each once what it needs is ready, and keep them up.

    What they print is shown with the world's name, and kept: libos logs. Ctrl-C stops them in order, a second
    one kills them. The exit status is 0 where every world ended well or the stack was stopped, else that of
    the first world that failed for good; 2 for an error in the file.
    """
    from libos.stack import load_stack

    stack = load_stack(file)
    if check:
        for member in stack.members:
            needs = f", after {', '.join(member.needs)}" if member.needs else ""
            ready = f"; ready when {member.ready}" if member.ready else ""
            click.echo(f"{member.name}{needs}{ready}; restart {member.restart.when}")
        return 0

    from libos.cli import stack_runner  # trio and pyfuse3: only once the file is known to be good

    if detach:
        return stack_runner.detach(stack, events)
    return stack_runner.run(stack, events=events, ready_fd=ready_fd)
