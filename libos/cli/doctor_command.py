"""`libos doctor`: does this machine give what a world needs? Also what a failed `run` prints."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TextIO

import click

from libos.cli.show import bad, complain, doubtful, good, harmless, say
from libos.cli.status import LIBOS_FAILED

if TYPE_CHECKING:
    from libos.doctor.examine import Finding

# Columns of a step's name and of what came of it.
_STEP_WIDTH = 26


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Try each step from a process to a world, and name the cause and the remedy of each that fails.

    Nothing is changed on the machine. The exit status is 0 when worlds can run here, else 125.
    """
    from libos.doctor import examine

    findings = examine.examine()
    if as_json:
        click.echo(json.dumps(examine.as_json(findings), indent=2))
    else:
        for finding in findings:
            click.echo("\n".join(_lines(finding, sys.stdout)))
    if examine.worlds_can_run(findings):
        if not as_json:
            click.echo(good("worlds can run here", sys.stdout))
        return 0
    failed = sum(finding.ok is False for finding in findings)
    complain(f"worlds cannot run here: {failed} of {len(findings)} steps failed; mend the first one first")
    return LIBOS_FAILED


def explain_failure() -> None:
    """Say on stderr which steps this machine refuses; nothing when it refuses none. A process that has gone
    behind Landlock can try none: it names the command that does."""
    from libos.doctor.examine import examine

    told = set()
    try:
        findings = examine()
    except PermissionError:
        say("whether this machine lacks something: libos doctor")
        return
    for finding in findings:
        if finding.ok is False and finding.cause not in told:
            told.add(finding.cause)
            say("\n".join(_lines(finding, sys.stderr)), painted=True)


def _lines(finding: Finding, stream: TextIO) -> list[str]:
    failed = bad("FAIL", stream) if finding.required else doubtful("lack", stream)
    mark = {True: good("ok  ", stream), False: failed, None: doubtful("-   ", stream)}[finding.ok]
    told = finding.error if finding.ok is False else finding.purpose
    lines = [f"{mark}  {finding.step:<{_STEP_WIDTH}}{harmless(told or '')}"]
    if finding.ok is None:
        lines[0] += " (not tried: an earlier step failed)"
    if finding.ok is False:
        lines.append(f"      cause:  {harmless(finding.cause or '')}")
        lines.append(f"      remedy: {harmless(finding.remedy or '')}")
    return lines
