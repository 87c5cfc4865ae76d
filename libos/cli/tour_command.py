"""`libos tour`: learn what isolation is, stop by stop; and what teachers need for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from libos.cli.show import columns, say

if TYPE_CHECKING:
    from libos.tour.collection import Collection


@dataclass(frozen=True)
class Asked:
    """The options of `libos tour` itself."""

    check: bool
    as_json: bool
    manifest: str | None
    stops: str | None

    def collection(self) -> Collection:
        """The stops that are meant. Raises TourError."""
        from libos.tour.collection import collection

        return collection(None if self.stops is None else Path(self.stops))


class _Tour(click.Group):
    """A word that is no command of its own names a stop."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and libos's own stops by their folders: nothing is read for it."""
        from libos.tour.collection import OWN

        with suppress(OSError):
            names = sorted(each.name for each in OWN.iterdir() if each.name.startswith(incomplete))
            return [*super().shell_complete(ctx, incomplete), *map(CompletionItem, names)]
        return super().shell_complete(ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "go", self.commands["go"], args


@click.group("tour", cls=_Tour, invoke_without_command=True, subcommand_metavar="[STOP | COMMAND …]")
@click.option("--check", is_flag=True, help="Judge the manifests as they are, and ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.option("--manifest", metavar="FILE", help="With --check and a STOP: judge this manifest.")
@click.option("--stops", metavar="DIR", help="The stops of this folder, in place of libos's own.")
@click.pass_context
def command(ctx: click.Context, check: bool, as_json: bool, manifest: str | None, stops: str | None) -> None:
    """Learn what isolation is: predict, run, look, break, and change a manifest until an attack fails.

    Without STOP (a name or a number) it goes on where you left. No root and no network are needed; what runs
    gets nothing of your own files.
    """
    ctx.obj = Asked(check, as_json, manifest, stops)
    if ctx.invoked_subcommand is None:
        ctx.invoke(go, stop=None)


@command.command("go", hidden=True)
@click.argument("stop", required=False)
@click.pass_context
def go(ctx: click.Context, stop: str | None) -> None:
    """Go to a stop, or on where you left; with --check judge it."""
    asked: Asked = ctx.obj
    if asked.manifest is not None and not (asked.check and stop):
        raise click.UsageError("--manifest goes with --check and a STOP", ctx)
    if asked.as_json and not asked.check:
        raise click.UsageError("--json goes with --check, list or verify", ctx)
    stops = asked.collection()
    from libos.cli.tour_runs import grade, walk

    if asked.check:
        ctx.exit(grade(stops, stop, asked.manifest, as_json=asked.as_json))
    walk(stops, stop)


@command.command("list")
@click.pass_obj
def list_stops(asked: Asked) -> None:
    """List the stops, and how far you are."""
    import json

    from libos.tour.keeping import Keeper

    stops = asked.collection()
    progress = Keeper(stops, say).progress
    visits = {stop.name: progress.at(stop.name) for stop in stops.stops}
    if asked.as_json:
        found = [
            {"stop": stop.name, "number": stop.number, "title": stop.title, **vars(visits[stop.name])}
            for stop in stops.stops
        ]
        click.echo(json.dumps({"version": 1, "stops": found}, indent=2))
        return
    rows = [
        (str(stop.number), stop.name, visit.state, _grants(visit.grants), stop.title)
        for stop in stops.stops
        for visit in [visits[stop.name]]
    ]
    click.echo(columns(rows, ("", "STOP", "STATE", "GRANTS", "TITLE")))
    for broken in stops.unreadable:
        say(broken.error)


def _grants(grants: int | None) -> str:
    return "-" if grants is None else str(grants)


@command.command("skip")
@click.argument("stop")
@click.pass_obj
def skip(asked: Asked, stop: str) -> None:
    """Pass over a stop; it comes again at the end."""
    from dataclasses import replace

    from libos.tour.keeping import Keeper

    stops = asked.collection()
    name = stops.get(stop).name
    keeper = Keeper(stops, say)
    keeper.note(name, replace(keeper.progress.at(name), state="skipped"))
    say(f"{name} is skipped")


@command.command("reset")
@click.argument("stop", required=False)
@click.option("--all", "everything", is_flag=True, help="All stops.")
@click.pass_context
def reset(ctx: click.Context, stop: str | None, everything: bool) -> None:
    """Forget a stop, with the manifest that you wrote there."""
    from libos.tour.keeping import Keeper
    from libos.tour.workspace import Workspace

    if (stop is None) is not everything:
        raise click.UsageError("name a STOP, or say --all", ctx)
    stops = ctx.obj.collection()
    keeper = Keeper(stops, say)
    for each in stops.stops if stop is None else [stops.get(stop)]:
        Workspace(each, keeper.home).remove()
        keeper.write(keeper.progress.without(each.name))
    say("all stops are new again" if stop is None else f"{stops.get(stop).name} is new again")


@command.command("new")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Make a stop of your own: a skeleton that is itself good."""
    from libos.tour.making import new_stop

    for name in new_stop(folder):
        click.echo(folder / name)
    say(f"libos tour verify {folder} tries it, libos tour --stops {folder} shows it to a learner")


@command.command("verify")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.pass_context
def verify(ctx: click.Context, folder: Path | None) -> None:
    """Try stops, libos's own or those of DIR: the start must fail, the solution must pass."""
    from libos.cli.tour_runs import verify_all
    from libos.tour.collection import collection

    ctx.exit(verify_all(collection(folder), as_json=ctx.obj.as_json))
