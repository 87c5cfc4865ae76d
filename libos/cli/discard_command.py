"""`libos discard`: forget what a run changed."""

from __future__ import annotations

import click

from libos.cli import completing


@click.command("discard")
@click.argument("name", shell_complete=completing.kept)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
def command(name: str, patterns: tuple[str, ...]) -> int:
    """Forget the changes kept as NAME: all and the name, or what PATTERNs name (gitignore's, as libos diff).

    Exits with 1 where nothing matches.
    """
    from libos.cli.commit_command import tell
    from libos.cli.show import say
    from libos.kept import changes, discard_name

    if not patterns:
        discard_name(name)
        return 0
    before = changes(name)
    left = before.discard(patterns)
    say(tell(len(before) - len(left), "discarded", len(left), name))
    return 0
