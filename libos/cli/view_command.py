"""`libos view`: what happens in a world, live in the browser."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.show import say
from libos.errors import HostError

if TYPE_CHECKING:
    from libos.view.showing import Showing

    Follow = Callable[[Showing], Awaitable[None]]

_NEEDED = ("starlette", "hypercorn")


@click.command("view")
@click.argument("source", metavar="[APP|EVENTS]", required=False, shell_complete=completing.worlds_and_files)
@click.option("--world", metavar="NAME", help="The world to show, where an event file is of several.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port on 127.0.0.1; any free one unless said.",
)
@click.option("--open", "opens", is_flag=True, help="Open the browser.")
def command(source: str | None, world: str | None, port: int, opens: bool) -> None:
    """Show a running world, or an event file also while it grows, as a page that changes with it.

    The page is served on 127.0.0.1, for reading alone, to who has its address with the token, until Ctrl-C.
    A file lights up when it is touched, and turns red where it was looked for and is absent.
    """
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise HostError(
            f"libos view serves by {' and '.join(missing)}, not installed here: pip install 'libos[view]'"
        )
    with contextlib.ExitStack() as stack:
        follow = _source(stack, source)

        import trio

        from libos.unwrap import unwrapped
        from libos.view.serving import listen, look
        from libos.view.showing import Showing

        listener = stack.enter_context(listen(port))

        async def serve() -> None:
            async with unwrapped(), trio.open_nursery() as nursery:
                _tell(await nursery.start(look, listener, Showing(world), follow), opens=opens)

        trio.run(serve)


def _tell(url: str, *, opens: bool) -> None:
    """Print the address, which is for nobody else."""
    click.echo(url)
    say("whoever has this address can read the page; Ctrl-C ends it")
    if opens:
        import webbrowser

        if not webbrowser.open(url):
            say("there is no browser to open here")


def _source(stack: contextlib.ExitStack, source: str | None) -> Follow:
    """Open where the events come from: a running world by its name, else an event file; without a name the
    world that runs."""
    from libos.cli.event_sources import is_file
    from libos.control.folder import open_folder
    from libos.control.following import Following
    from libos.seen import open_events
    from libos.view.source import show_file, show_world

    if source is None or not is_file(source):
        with open_folder() as folder:
            name = source if source is not None else _only(folder.names())
            return partial(show_world, stack.enter_context(Following(folder, name)))
    return partial(show_file, stack.enter_context(open_events(source)))


def _only(names: list[str]) -> str:
    if len(names) != 1:
        there = f"there are {', '.join(sorted(names))}" if names else "none runs"
        raise click.UsageError(f"name a running world or an event file; {there}")
    return names[0]
