"""`libos commit`: write what a run changed to the host."""

from __future__ import annotations

import click

from libos.cli import completing


@click.command("commit")
@click.argument("name", shell_complete=completing.kept)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("-f", "--force", is_flag=True, help="Overwrite what changed on the host meanwhile.")
def command(name: str, patterns: tuple[str, ...], force: bool) -> int:
    """Write the changes kept as NAME to the host: all, or what PATTERNs name (gitignore's, as libos diff).

    Each file is replaced whole. Where the host's file is not the one that the app saw, nothing is committed,
    unless with --force. An interrupted commit is finished or undone by the next libos command on NAME. What
    is not committed stays kept. Exits with 1 where nothing matches or something changed meanwhile.
    """
    from libos.cli.show import say
    from libos.kept import changes

    before = changes(name)
    if not len(before):
        say(f'nothing is left to commit of "{name}"; forget the name with: libos discard {name}')
        return 1 if patterns else 0
    left = before.commit(patterns, force=force)
    say(tell(len(before) - len(left), "committed", len(left), name))
    return 0


def tell(done: int, word: str, left: int, name: str) -> str:
    """What was done, and what to do with the rest."""
    what = f"{done} change{'' if done == 1 else 's'} {word}"
    return f"{what}, {left} left: libos diff {name}" if left else f"{what}, nothing is left"
