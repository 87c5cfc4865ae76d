"""`libos diff-runs`: what one run touched or asked for and another did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.options import path_option
from libos.cli.show import say

if TYPE_CHECKING:
    from libos.seen.touched import Thing, Touched

_VERSION = 1
# Exit statuses, as diff(1): trouble is an EventsError's.
_SAME, _DIFFERENT = 0, 1


@click.command("diff-runs")
@click.argument("first", metavar="A", shell_complete=completing.files)
@click.argument("second", metavar="B", shell_complete=completing.files)
@path_option
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(first: str, second: str, paths: tuple[str, ...], as_json: bool) -> int:
    """Print what the run of the event file A touched or asked for and that of B did not (-), and the other
    way round (+): paths, names, addresses, requests, system calls, how it ended. The status is diff(1)'s: 0
    for none, 1 for some, 2 for trouble.

    A and B are event files or running worlds. Which mounted files a run used is known where it was recorded.
    """
    from libos.harmless import harmless
    from libos.seen.filtering import path_matches

    before, after = _touched(first), _touched(second)

    def wanted(thing: Thing) -> bool:
        return not paths or any(path_matches(thing[1], pattern) for pattern in paths)

    gone = sorted(filter(wanted, before.things - after.things))
    new = sorted(filter(wanted, after.things - before.things))
    if as_json:
        sides = {"only_a": gone, "only_b": new}
        listed = {
            side: [{"what": what, "name": name} for what, name in things] for side, things in sides.items()
        }
        click.echo(json.dumps({"version": _VERSION, "a": first, "b": second, **listed}, indent=2))
    else:
        marked = [("-", thing) for thing in gone] + [("+", thing) for thing in new]
        for mark, (what, name) in sorted(marked, key=lambda each: each[1]):
            click.echo(f"{mark} {harmless(what):<8} {harmless(name)}")
    return _DIFFERENT if gone or new else _SAME


def _touched(name: str) -> Touched:
    from libos.cli.event_sources import open_source
    from libos.seen.touched import Touched

    touched = Touched()
    with open_source(name, follow=False) as events:
        for event in events:
            if event is not None:
                touched.feed(event)
    if touched.beyond:
        say(f"{name}: it touched more than {len(touched.things)} things; the rest is not compared")
    return touched
