"""`libos logs`: what the worlds of a stack have printed."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from libos.cli import completing
from libos.cli.down_command import stack_name
from libos.cli.show import harmless
from libos.errors import SupervisorError

# Seconds between two looks at the file: inotify would tell sooner than a person reads.
_PAUSE = 0.1


@click.command("logs")
@click.argument("stack", default="stack.toml", metavar="[NAME|FILE]", shell_complete=completing.files)
@click.argument("worlds", nargs=-1, metavar="[WORLD]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("-n", "--tail", type=click.IntRange(min=0), help="Only the last so many records.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as they are kept: JSON, one a line.")
def command(stack: str, worlds: tuple[str, ...], follow: bool, tail: int | None, as_json: bool) -> None:
    """Print what the worlds of a stack have printed, of all of them or of WORLD; also after its end."""
    from libos.stack.output import files_of

    name = stack_name(stack)
    files = files_of(name)
    if not files:
        raise SupervisorError(f'no records of a stack "{name}" are kept')
    found = (record for path in files for record in _records(path, worlds))
    for record in found if tail is None else deque(found, maxlen=tail):
        click.echo(_shown(record, as_json))
    if follow:
        for record in _later(files[-1], worlds):
            click.echo(_shown(record, as_json))


def _records(path: Path, worlds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield from _record(line, worlds)
    except FileNotFoundError:
        return  # it was turned a moment ago


def _record(line: bytes, worlds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    try:
        record = json.loads(line)
    except ValueError:
        return  # half a record, of a disk that was full
    if not worlds or record.get("world") in worlds:
        yield record


def _later(path: Path, worlds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """What comes after the end of a file, and in those that follow it."""
    file = path.open("rb")
    file.seek(0, os.SEEK_END)
    rest = b""
    while True:
        turned = _turned(path, file)  # asked before reading: what was written until then is read below
        while data := file.readline():
            rest += data
            if rest.endswith(b"\n"):
                yield from _record(rest, worlds)
                rest = b""
        if turned:
            file.close()
            file, rest = path.open("rb"), b""
        else:
            time.sleep(_PAUSE)


def _turned(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False  # between two files


def _shown(record: dict[str, str], as_json: bool) -> str:
    if as_json:
        return json.dumps(record)
    return f"{record['time']} {record['world']} | {harmless(record['line'])}"
