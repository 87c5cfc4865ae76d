"""What Tab completes: names of running worlds, names of kept changes, files.

Rules: nothing is started, connected to or changed for it, and what cannot be looked at completes to
nothing: a person who presses Tab wants no error message. Source: click, "Shell Completion".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

Items = list[CompletionItem]


def worlds(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """This user's worlds, by their sockets: one that was killed a moment ago may be among them."""
    return _items(_world_names(), incomplete)


def kept(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The names under which changes are kept."""
    return _items(_kept_names(), incomplete)


def files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Files, as the shell completes them."""
    return [CompletionItem(incomplete, type="file")]


def worlds_and_files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Worlds, and files besides; files alone from the first slash on."""
    return [
        *(() if "/" in incomplete else worlds(ctx, parameter, incomplete)),
        *files(ctx, parameter, incomplete),
    ]


def _items(names: Iterator[str], incomplete: str) -> Items:
    with suppress(OSError, ValueError):
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
    return []


def _world_names() -> Iterator[str]:
    from libos.control.folder import ControlError, open_folder

    with suppress(ControlError), open_folder() as folder:
        yield from folder.names()


def _kept_names() -> Iterator[str]:
    from libos.kept.store import names

    yield from names()
