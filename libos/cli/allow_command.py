"""`libos allow`: the lines that grant something, written into a manifest."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.show import say
from libos.errors import ManifestError
from libos.harmless import harmless

if TYPE_CHECKING:
    from libos.manifest.model import Listen
    from libos.plan import Plan
    from libos.why.questions import Question
    from libos.why.writing import Writing


@click.command("allow")
@click.argument("manifest_path", metavar="MANIFEST", shell_complete=completing.files)
@click.argument("words", metavar="PATH[:ro|rw|cow]|ADDRESS|CALL|LIMIT=VALUE...", nargs=-1)
@click.option("-p", "--publish", "ports", metavar="[IP:]PORT:PORT", multiple=True,
              help="Publish a port of the app: outside, then inside; PORT for both.")  # fmt: skip
@click.option("--refused", metavar="EVENTS", help="Write a rule for each refusal of a domain in this file.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Grant what holds secrets too.")
def command(
    manifest_path: str,
    words: tuple[str, ...],
    ports: tuple[str, ...],
    refused: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Write into MANIFEST what grants these things, and show the difference. Comments and layout stay.

    A PATH is the host's own, read-only unless said. An ADDRESS is tcp!HOST!PORT, HOST:PORT or a URL. All is
    written at once or nothing: the manifest is checked with what would be written first.

    --refused does what audit2allow(1) does: read the rules before you keep them, since they allow all that
    was tried.
    """
    from libos.manifest import load
    from libos.manifest.reading import read_text
    from libos.plan import lower
    from libos.why.questions import question
    from libos.why.writing import Writing

    if not words and not ports and refused is None:
        raise click.UsageError(
            "say what to grant: a path, an address, a system call, LIMIT=VALUE, -p PORT, or --refused EVENTS"
        )
    before = read_text(manifest_path, manifest_path)
    writing = Writing(before)
    asked, listens = [question(word) for word in words], [_listen(port) for port in ports]
    plan = lower(load(manifest_path))
    _write(writing, asked, plan, yes=yes)
    _publish(writing, listens, plan)
    if refused is not None:
        _write_rules(writing, refused)
    after = writing.text
    if after == before:
        return
    _show(before, after, manifest_path)
    _replace(manifest_path, before, after, dry_run=dry_run)


def _listen(text: str) -> Listen:
    from libos.manifest.listening import published_option

    try:
        return published_option(text)
    except ValueError as error:
        raise ManifestError(f'-p "{text}": {error}') from None


def _publish(writing: Writing, listens: list[Listen], plan: Plan) -> None:
    """Write the ports that are not published there already."""
    there = {(each.name, each.published) for each in plan.listens}
    for each in listens:
        if (each.name, each.published) in there:
            say(f"port {each.port} is published at {each.published} already. Nothing is written for it.")
        else:
            writing.publish(each)


def _write(writing: Writing, asked: list[Question], plan: Plan, *, yes: bool) -> None:
    """Write what is not granted already. Raises ManifestError for what must not or cannot be."""
    from libos.events import Event
    from libos.plan.telling import told
    from libos.seen import Seen
    from libos.why.deciding import why

    seen = Seen()
    for fields in told(plan):
        seen.feed(Event("world.plan", None, fields))
    for each in asked:
        verdict = why(seen, each)
        if verdict.granted and each.subject != "limit" and not _covers_host(plan, each):
            say(f"{verdict.text} Nothing is written for it.")
            continue
        if verdict.hidden and not yes:
            raise ManifestError(f"{verdict.text} Grant it with --yes, or change that by hand.")
        host = None
        if each.subject == "path":
            host = _host_path(plan, each.what)
            _refuse_sensitive(each.what, host, yes=yes)
            if not os.path.exists(host):
                host = None
        writing.allow(each, host)


def _write_rules(writing: Writing, file: str) -> None:
    """Write what would have allowed what an event file says was refused to domains."""
    from libos.seen.files import read_events
    from libos.why.rules import rules_of

    wanted, nameless = rules_of(read_events(file))
    for domain, kind, verbs in wanted:
        writing.rule(domain, kind, verbs)
    if nameless:
        say(f"{nameless} refusals were of programs in no domain: give them a [[domain]] first")
    if not wanted:
        say(f"no domain was refused anything in {file}")


def _covers_host(plan: Plan, asked: Question) -> bool:
    """Whether what stands at a path is not the host's, which is what is asked for."""
    from libos.namespace import HostSource

    mount = plan.namespace.covering(asked.what) if asked.subject == "path" else None
    return mount is not None and mount.at != asked.what and not isinstance(mount.source, HostSource)


def _host_path(plan: Plan, path: str) -> str:
    """The host's path of what stands at a path: that of the mount that gives it read-only, else the same."""
    from libos.namespace import HostSource

    mount = plan.namespace.covering(path)
    if mount is None or not isinstance(mount.source, HostSource):
        return path
    return os.path.normpath(os.path.join(mount.source.path, path.removeprefix(mount.at).lstrip("/")))


def _refuse_sensitive(path: str, host: str, *, yes: bool) -> None:
    from libos.sensitive import sensitive

    why = sensitive(path) or sensitive(host) or sensitive(os.path.realpath(host))
    if why and not yes:
        raise ManifestError(f"{path} is sensitive: {why}; grant it with --yes, or name less of it")


def _show(before: str, after: str, name: str) -> None:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    click.echo("\n".join(map(harmless, lines)))


class _OnlyLookedError(Exception):
    """What would be written is good, and is not to be."""


def _replace(path: str, before: str, after: str, *, dry_run: bool) -> None:
    """Check the new text beside the old file, so that what it names relatively is found, and put it in its
    place in one step. Raises ManifestError, UnwritableError, with nothing changed."""
    from libos.cli.outputs import replace_file
    from libos.manifest import load
    from libos.manifest.reading import read_text
    from libos.plan import lower

    def look(made: str) -> None:
        try:
            lower(load(made))
        except ManifestError as error:
            raise ManifestError(f"{error}".replace(made, path)) from None
        if dry_run:
            raise _OnlyLookedError
        if read_text(path, path) != before:
            raise ManifestError(f"{path} was changed meanwhile: nothing is written")

    with suppress(_OnlyLookedError):
        replace_file(path, after, look=look)
