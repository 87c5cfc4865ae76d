"""`libos learn`: a program run with its world served in full, and the smallest manifest that covers it."""

from __future__ import annotations

import json
import os
import shlex
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from libos.cli.learning_progress import Progress
from libos.cli.options import ViewOptions, WithCommand, take_view, view_options
from libos.cli.run_command import choose_terminal
from libos.cli.show import say
from libos.errors import HostError, ManifestError, SupervisorError
from libos.harmless import harmless

if TYPE_CHECKING:
    from libos.learning.folding import Grant
    from libos.learning.learned import Learned
    from libos.manifest import Manifest

_EPILOG = """\b
  libos learn -- git status
  libos learn -o app.toml -v .:/work:rw -w /work -- make
  libos learn --more app.toml -- git log"""


@click.command("learn", cls=WithCommand, epilog=_EPILOG)
@view_options
@click.option("-o", "--output", "output", metavar="FILE", help="The manifest; COMMAND.toml unless said.")
@click.option("--more", "more", metavar="FILE", help="Merge into this manifest; its lines and comments stay.")
@click.option("--json", "as_json", is_flag=True, help="Print what was learned, as JSON, after the run.")
@click.option("--events", "events", metavar="FILE|FD", help="Write the run's events there too.")
@click.option("-t/-T", "--terminal/--no-terminal", "terminal", default=None,
              help="Give the app a terminal of its own; by default when all streams are one.")  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context,
    /,
    output: str | None,
    more: str | None,
    as_json: bool,
    events: str | None,
    terminal: bool | None,
    **parameters: Any,
) -> int:
    """Run COMMAND with the caller's files (read-only; home, working directory and /tmp copy-on-write) and the
    network's names, and write the smallest manifest that covers what it used.

    Learn what you would run anyway: the program can read what you can, and send it. The exit status is the
    app's own. Where it is not 0 the manifest is written all the same, and says that it is incomplete.
    """
    view = take_view(ctx, parameters)
    if view.manifest_path is not None or not view.command:
        raise click.UsageError("name the command after --, as in: libos learn -- git status", ctx)
    from libos.learning.learned import name_of

    path = more or output or f"{name_of(view.command)}.toml"
    before = _before(path, more, output)
    manifest, given = _manifest(view)

    from libos.cli.runner import Request, run  # trio and pyfuse3: only once all is known to be good
    from libos.learning.observed import Observed

    observed = Observed()
    say("learning: the app has the caller's own files and the network; each use is recorded")
    request = Request(manifest, choose_terminal(terminal), events, report=False, serve_all=False)
    progress = Progress(observed, shown=not request.terminal)
    try:
        status = run(replace(request, observe=progress.note, started=progress.start))
    except (HostError, SupervisorError):
        from libos.cli.doctor_command import explain_failure

        explain_failure()
        raise
    finally:
        progress.end()
    if progress.uses is not None:
        observed.take(progress.uses, progress.uses.beyond)
    from libos.learning.host import ThisHost
    from libos.learning.learned import Command, learn

    ran = Command(view.command, manifest.app.directory or "/", dict(manifest.app.environment))
    learned = learn(observed, ran, ThisHost(), given)
    if status:
        learned.incomplete = f"the run ended with status {status}, and may not have shown everything"
    _write(path, before, learned)
    _tell(path, learned)
    if as_json:
        click.echo(json.dumps(_json(path, learned)))
    return status


def _before(path: str, more: str | None, output: str | None) -> str | None:
    """The text of the manifest that is merged into. Nothing is overwritten."""
    if more is None:
        if os.path.lexists(path):
            raise click.UsageError(f"{path} exists: merge into it by --more {path}, or name another with -o")
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise click.UsageError(f"{path}: there is no such folder")
        return None
    if output is not None:
        raise click.UsageError("--more says which file is written; leave out -o")
    from libos.manifest import load

    load(more)  # every error of it, before anything runs
    with open(more, encoding="utf-8") as file:
        return file.read()


def _manifest(view: ViewOptions) -> tuple[Manifest, list[Grant]]:
    """The world in which the program is learned, and the mounts that the caller asked for."""
    from libos.learning.folding import Grant
    from libos.learning.world import learning_world
    from libos.manifest import from_mapping
    from libos.namespace import HostSource

    if view.include or view.namespace:
        raise ManifestError("the world of learning is the caller's own: leave out --include and --namespace")
    world = learning_world(os.environ, os.getcwd())
    manifest = view.manifest(from_mapping(world))
    given = [
        Grant(mount.at, "given by -v", mode=str(mount.mode), source=mount.source.path)
        for mount in manifest.mounts
        if mount.origin.startswith("-v ") and isinstance(mount.source, HostSource)
    ]
    return manifest, given


def _write(path: str, before: str | None, learned: Learned) -> None:
    from libos.cli.outputs import replace_file
    from libos.learning.writing import merged, text

    when = time.strftime("on %Y-%m-%d at %H:%M:%S")
    new = text(learned, when) if before is None else merged(before, learned, when)
    replace_file(path, new)


def _tell(path: str, learned: Learned) -> None:
    lines = [f"note: {note}" for note in learned.notes]
    lines += [f"widened: {grant.at}: {grant.why}" for grant in learned.grants if " files" in grant.why]
    taken = ", ".join(learned.command.environment)
    lines.append(f"taken over from the environment: {taken or 'nothing'}; others with -e NAME")
    runs = f"run it: libos run {shlex.quote(path)}"
    state = f"INCOMPLETE: {learned.incomplete}" if learned.incomplete else runs
    counts = f"{len(learned.grants)} mounts, {len(learned.dials)} dials"
    lines.append(f"{path}: {counts}, of a run of {learned.seconds:.1f} s; {state}")
    say("\n".join(map(harmless, lines)))  # a line's end in a name is none


def _json(path: str, learned: Learned) -> dict[str, Any]:
    return {
        "version": 1,
        "manifest": path,
        "incomplete": learned.incomplete,
        "command": list(learned.command.words),
        "environment": dict(learned.command.environment),
        "mounts": [asdict(grant) for grant in learned.grants],
        "dials": [{"to": to, "why": why} for to, why in learned.dials.items()],
        "listens": [{"port": port, "publish": publish} for port, publish in learned.listens.items()],
        "calls": [{"allow": name, "why": why} for name, why in learned.allow.items()],
        "limits": {name: value for name, (value, _) in learned.limits.items()},
        "seconds": learned.seconds,
        "notes": learned.notes,
    }
