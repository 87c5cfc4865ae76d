"""`libos diff`: what a run changed, that was started with --keep."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from libos.cli import completing

if TYPE_CHECKING:
    from libos.kept import Change, Changes

_LEGEND = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed", "T": "another type"}


@click.command("diff")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completing.kept)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--patch", "as_patch", is_flag=True, help="Show the text as a unified diff, for patch(1) too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, version 1.")
def command(name: str | None, patterns: tuple[str, ...], as_patch: bool, as_json: bool) -> int:
    """Show what is kept as NAME: A added, M modified, D deleted, R renamed, T of another type now.

    An exclamation mark is where the host's file changed meanwhile. PATTERNs are gitignore's, relative to the
    mount. Without NAME, list the names.
    """
    from libos.kept import changes, names

    if name is None:
        click.echo("".join(f"{each}\n" for each in names()), nl=False)
        return 0
    if as_patch and as_json:
        raise click.UsageError("--patch and --json exclude each other")
    kept = changes(name).matching(patterns)
    if as_json:
        click.echo(json.dumps(kept.json(), indent=2))
    elif as_patch:
        _show_patch(kept.patch(patterns))
    else:
        _show(kept)
    return 0


def _show_patch(patch: bytes) -> None:
    """To a terminal, text that can do no harm; anywhere else the bytes as they are, for who applies them."""
    from libos.cli.show import harmless

    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(patch)
        return
    for line in patch.decode(errors="surrogateescape").split("\n")[:-1]:
        click.echo("\t".join(map(harmless, line.split("\t"))))


def _show(kept: Changes) -> None:
    from libos.cli.show import columns, harmless, say

    if len(kept):
        rows = [[_mark(change), harmless(_where(change)), _what(change)] for change in kept]
        click.echo(columns(rows))
    said = ", ".join(
        f"{count} {word}"
        for letter, word in _LEGEND.items()
        if (count := sum(change.kind == letter for change in kept))
    )
    mounts = "; ".join(f"{harmless(at)} of {harmless(host)}" for at, host in kept.mounts)
    say(f"{said or 'nothing changed'} ({mounts})")


def _mark(change: Change) -> str:
    return change.kind + ("!" if change.conflict else "")


def _where(change: Change) -> str:
    slash = "/" if (change.after or change.before or _NONE).type == "directory" else ""
    old = f"{change.source} -> " if change.source is not None else ""
    return f"{old}{change.path}{slash}"


class _NONE:
    type = ""


def _what(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        only = after or before
        assert only is not None
        return _size(only.size) if only.type == "file" else only.type
    if before.type != after.type:
        return f"{before.type} -> {after.type}"
    said = []
    if before.size != after.size:
        said.append(f"{before.size} -> {_size(after.size)}")
    if before.mode != after.mode and after.type != "link":
        said.append(f"mode {before.mode:04o} -> {after.mode:04o}")
    if not said:
        said.append(_size(after.size) if after.type == "file" else after.type)
    return ", ".join(said)


def _size(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
