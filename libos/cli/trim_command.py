"""`libos trim`: which grants of a manifest a run uses, which it needs, and the manifest without the
others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from libos.cli import completing
from libos.cli.options import WithCommand
from libos.cli.outputs import check_writable, replace_file
from libos.cli.progress import StatusLine
from libos.cli.show import columns, say
from libos.errors import ManifestError

if TYPE_CHECKING:
    from libos.trimming.trimming import Trimmed


@click.command("trim", cls=WithCommand)
@click.argument("manifest_path", metavar="MANIFEST", shell_complete=completing.files)
@click.option("-o", "--output", "output", metavar="FILE",
              help="Write the shorter manifest there; it may be MANIFEST itself.")  # fmt: skip
@click.option("--prove", is_flag=True, help="Take each grant away and run again, to see that it is needed.")
@click.option("--check", "check", metavar="COMMAND",
              help="A run is good when this shell command, run outside afterwards, is.")  # fmt: skip
@click.option("--timeout", "timeout", metavar="TIME",
              help="How long a run may take; four times the first one and 5s unless said.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    manifest_path: str,
    output: str | None,
    prove: bool,
    check: str | None,
    timeout: str | None,
    as_json: bool,
) -> None:
    """Report which grants of MANIFEST a run of its app, or of COMMAND, does not use, and offer the manifest
    without them.

    The app runs on a copy: what it writes is forgotten, and its standard input is empty. What it sends over
    granted connections is sent. A run is good when it ends with status 0, or as --check says.
    """
    from libos.cli.stoppable import run
    from libos.manifest import load
    from libos.manifest.values import duration
    from libos.trimming.editing import edited, removable
    from libos.trimming.grants import grants
    from libos.trimming.trimming import Asked, Trimming

    manifest = load(manifest_path)
    command = ctx.meta.get("libos.command") or manifest.app.command
    if not command:
        raise click.UsageError("nothing to run: the manifest names no command, and none stands after --", ctx)
    manifest = replace(manifest, app=replace(manifest.app, command=tuple(command)))
    try:
        seconds = None if timeout is None else duration(timeout)
    except ValueError as wrong:
        raise click.UsageError(f"--timeout {timeout}: {wrong}", ctx) from wrong
    if output is not None:
        check_writable(output, "-o")
    text = _text(manifest_path)
    found = [grant for grant in grants(manifest) if removable(text, grant)]
    progress = Progress()
    try:
        trimmed = run(Trimming(Asked(manifest, found, prove, check, seconds), progress.tell).run)
    finally:
        progress.clear()
    _print(trimmed, as_json=as_json)
    if output is not None:
        _write(output, manifest_path, text, edited(text, trimmed.gone), trimmed)
    _close(trimmed, manifest_path, output)


class Progress:
    """Which run is made, and how long the others may take."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self.clear = self._line.clear

    def tell(self, made: int, left: int, seconds: float) -> None:
        """Show that so many runs were made, and about so many are left that take so long each."""
        from libos.trimming.telling import time_left

        took = f", some {time_left(left * seconds)} left" if seconds else ""
        self._line.show(f"libos: run {made + 1} of about {made + max(1, left)}{took}")


def _print(trimmed: Trimmed, *, as_json: bool) -> None:
    from libos.trimming.telling import HEAD, findings_json, rows

    if as_json:
        click.echo(json.dumps(findings_json(trimmed.findings, trimmed.runs, trimmed.seconds), indent=2))
    else:
        click.echo(columns(rows(trimmed.findings), HEAD))


def _write(output: str, manifest: str, before: str, after: str, trimmed: Trimmed) -> None:
    """Write the shorter manifest, once it has been read as what was run, and the manifest is what it was."""
    from libos.manifest import load
    from libos.trimming.grants import grants

    def look(path: str) -> None:
        written, wanted = load(path), trimmed.manifest
        if (written.mounts, written.dials) != (wanted.mounts, wanted.dials):
            raise ManifestError(
                f"-o {output}: paths in a manifest are relative to its folder: write it beside the other one"
            )
        assert len(grants(written)) == len(grants(wanted))
        if _text(manifest) != before:
            raise ManifestError(f"{manifest} was changed meanwhile: nothing is written")

    replace_file(output, after, "-o", look)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:  # its line ends stay
        return file.read()


def _close(trimmed: Trimmed, manifest: str, output: str | None) -> None:
    from libos.trimming.telling import summary

    said = summary(trimmed.findings)
    if output is not None:
        said += f"; {output} is written"
    elif trimmed.gone:
        said += f": -o {manifest} writes it without them"
    say(said)
