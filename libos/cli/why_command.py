"""`libos why`: which rule decided, where it stands, and what would grant the thing."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.show import say
from libos.harmless import harmless

if TYPE_CHECKING:
    from libos.seen import Seen
    from libos.why.verdict import Verdict

_VERSION = 1


@click.command("why")
@click.argument("source", metavar="APP|EVENTS|MANIFEST", shell_complete=completing.worlds_and_files)
@click.argument("what", metavar="PATH|ADDRESS|CALL|LIMIT")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(source: str, what: str, as_json: bool) -> None:
    """Say why a thing is granted or refused, in the running world APP, in the run of an EVENTS file, or by a
    MANIFEST: the rule that decides, the line where it stands, and the lines that would grant it.

    PATH may end in :rw or :cow to ask for writing. ADDRESS is tcp!HOST!PORT, HOST:PORT, a URL or a host's
    name. LIMIT is a key of [limits], as memory.
    """
    from libos.why.deciding import why
    from libos.why.questions import question

    asked = question(what)
    seen = _seen(source)
    if not seen.grants and not seen.about.syscalls:
        say(
            f"{source}: it does not say what the world held: an older libos wrote it, or it has lost its "
            "beginning"
        )
    verdict = why(seen, asked)
    if as_json:
        click.echo(json.dumps({"version": _VERSION, **asdict(verdict)}, indent=2))
        return
    click.echo(harmless(verdict.text))
    for line in _remedy_lines(verdict, seen.about.manifest):
        click.echo(harmless(line))


def _remedy_lines(verdict: Verdict, manifest: str) -> list[str]:
    remedy = verdict.remedy
    if remedy is None:
        return []
    head = "To change that" if verdict.granted else "To grant it"
    told = ["", f"{head}, in {remedy.within}:" if remedy.within else f"{head}:", ""]
    told += [f"    {line}" for line in remedy.lines]
    told = told if remedy.lines else []
    others = [f"libos run {remedy.option} …" if remedy.option else ""]
    if remedy.words:
        name = shlex.quote(manifest) if manifest.endswith(".toml") else "MANIFEST"
        others.append(f"libos allow {name} {remedy.words}")
    if said := "; ".join(each for each in others if each):
        told += ["", f"Or: {said}"]
    if remedy.warning:
        told += ["", f"Mind: {remedy.warning}."]
    return told


def _seen(source: str) -> Seen:
    """What a source says of its world. Raises LibosError."""
    from libos.cli.event_sources import is_file, open_source
    from libos.seen import Seen

    seen = Seen()
    if is_file(source) and _is_manifest(source):
        from libos.events import Event
        from libos.manifest import load
        from libos.plan import lower
        from libos.plan.telling import told

        for fields in told(lower(load(source))):
            seen.feed(Event("world.plan", None, fields))
        return seen
    with open_source(source, follow=False) as events:
        for event in events:
            if event is not None:
                seen.feed(event)
    return seen


def _is_manifest(path: str) -> bool:
    """A file of events begins with a brace, which no manifest does."""
    if path == "-" or path.endswith(".jsonl"):
        return False
    if path.endswith(".toml"):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(1) not in (b"{", b"")
    except OSError:
        return False
