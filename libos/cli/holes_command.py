"""`libos holes`: every way out of a world, before it runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from libos.cli.options import WithCommand, take_view, view_options
from libos.cli.show import columns, harmless, say

if TYPE_CHECKING:
    from libos.holes import Hole

_VERSION = 1


@click.command("holes", cls=WithCommand)
@view_options
@click.option("--allow", "allowed", metavar="NAME", multiple=True,
              help="This one is meant: a path, an address, as the list names it.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def command(ctx: click.Context, /, allowed: tuple[str, ...], as_json: bool, **parameters: Any) -> int:
    """List every way by which something can leave the world of MANIFEST. Nothing is started.

    Takes the options of `libos run`. The exit status is 1 where a way leads to others than whoever starts it
    and is not named by --allow, else 0.
    """
    from libos.errors import ManifestError
    from libos.holes import COVERT, holes, special_files
    from libos.holes.special import TooManyError
    from libos.plan import lower

    plan = lower(take_view(ctx, parameters).manifest())
    try:
        found = holes(plan, special_files(plan))
    except TooManyError as error:
        raise ManifestError(f"the list cannot be whole: {error}") from None
    names = {each.name for each in found if not each.own}
    for name in allowed:
        if name not in names:
            raise ManifestError(f'--allow "{name}": no such way out; libos holes lists them')
    left = [each for each in found if not each.own and each.name not in allowed]
    if as_json:
        click.echo(json.dumps(_json(found, allowed, COVERT), indent=2))
    else:
        click.echo(_table(found, allowed, COVERT))
        say(_summary(len(left), len(allowed)))
    return 1 if left else 0


def _json(found: list[Hole], allowed: tuple[str, ...], covert: tuple[str, ...]) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "holes": [asdict(each) | {"allowed": each.name in allowed} for each in found if not each.own],
        "own": [asdict(each) for each in found if each.own],
        "not_closed": list(covert),
    }


def _table(found: list[Hole], allowed: tuple[str, ...], covert: tuple[str, ...]) -> str:
    rows = [
        tuple(map(harmless, (_mark(each, allowed), each.kind, each.name, each.leads, each.origin)))
        for each in found
    ]
    table = columns(rows, ("", "WAY", "NAME", "LEADS TO", "ASKED FOR BY"))
    return "\n".join([table, "", "not closed by any manifest:", *(f"  {each}" for each in covert)])


def _mark(hole: Hole, allowed: tuple[str, ...]) -> str:
    return "yours" if hole.own else "meant" if hole.name in allowed else "HOLE"


def _summary(left: int, allowed: int) -> str:
    meant = f", {allowed} meant" if allowed else ""
    return f"{left or 'no'} {'hole' if left == 1 else 'holes'}{meant}"
