"""The learner's terminal: text laid out for its width, one key or one line at a time.

Rules:
- The terminal's modes are changed only while a key is waited for, and are as they were on every way out;
  Ctrl-C stays a signal. Where standard input is no terminal, the first character of a line is the key.
- Everything that a program or a file chose is made harmless. Colour is used only where it can be seen.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import signal
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import trio

from libos.cli.show import bad, doubtful, good, harmless
from libos.cli.terminal import is_terminal, terminal_size
from libos.tour.story import laid_out, wrapped
from libos.tour.watching import Watch

_STYLES = {"good": good, "bad": bad, "doubtful": doubtful}
_EDITORS = ("sensible-editor", "nano", "vi")
_ESCAPE = b"\x1b"


class TerminalConsole:
    """A `Console` on standard input and output."""

    def __init__(self) -> None:
        self._pending = b""
        self._blank = True  # the last line that was written is empty

    @property
    def _columns(self) -> int:
        with contextlib.suppress(ValueError):
            if columns := int(os.environ.get("COLUMNS", "")):
                return columns
        return terminal_size(1)[1]

    def _write(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line or not self._blank:
                click.echo(line)
            self._blank = not line

    def heading(self, text: str) -> None:
        """Show a heading."""
        self._write(["", f"== {text} ==", ""])

    def text(self, text: str) -> None:
        """Show text in the markup of stories."""
        self._write([*(harmless(line) for line in laid_out(text, self._columns)), ""])

    def item(self, mark: str, text: str, style: str = "") -> None:
        """Show a text behind a mark."""
        width = min(78, self._columns - 1)
        lines = [harmless(line) for line in wrapped(text, width, "   ", f"{mark} ")]
        if style:
            painted = _STYLES[style](mark, sys.stdout)
            lines[0] = painted + lines[0].removeprefix(mark)
        self._write(lines)

    def lines(self, lines: Sequence[str]) -> None:
        """Show lines as they are."""
        self._write([f"    {harmless(line.expandtabs())}" for line in lines] + [""])

    async def key(self, keys: Sequence[str], prompt: str, watch: Watch | None = None) -> str:
        """Wait for one of the keys, or for a change of the watched file."""
        click.echo("\n".join(wrapped(f"[{prompt}]", min(78, self._columns - 1))) + " ", nl=False)
        self._blank = False
        found: list[str] = []
        async with trio.open_nursery() as nursery:

            async def changed(watch: Watch) -> None:
                await watch.changed()
                found.append("")
                nursery.cancel_scope.cancel()

            if watch is not None:
                nursery.start_soon(changed, watch)
            key = await self._one_of(keys)
            found.append(key)
            nursery.cancel_scope.cancel()
        self._write([""])
        return found[0]

    async def _one_of(self, keys: Sequence[str]) -> str:
        with _single_keys():
            while True:
                key = (await self._next()).lower()
                if key in keys:
                    return key

    async def _next(self) -> str:
        """The next key; Enter is a newline. Raises EOFError."""
        while not self._pending:
            self._pending = await _read()
            if not self._pending or self._pending.startswith(b"\x04"):
                raise EOFError
            if self._pending.startswith(_ESCAPE):
                self._pending = b""  # an arrow or a function key
        key, self._pending = self._pending[:1], self._pending[1:]
        if key.strip() and self._pending[:1] == b"\n":
            self._pending = self._pending[1:]  # who typed Enter after a key meant the key
        return key.decode(errors="replace").replace("\r", "\n")

    async def edit(self, path: Path) -> None:
        """Run the learner's editor, which has the terminal meanwhile."""
        editor = _editor()
        if editor is None:
            self.text("There is no editor here: set EDITOR, or edit the file in another window.")
            return
        before = signal.signal(
            signal.SIGINT, _nothing
        )  # Ctrl-C is the editor's; not SIG_IGN, which it would get
        try:
            process = await trio.lowlevel.open_process([*editor, str(path)])
            await process.wait()
        except OSError as error:
            self.text(f"{editor[0]}: {error.strerror}: set EDITOR to another one.")
        finally:
            signal.signal(signal.SIGINT, before)


def _nothing(*_: object) -> None:
    """A signal that is somebody else's."""


def _editor() -> list[str] | None:
    """The words of the learner's editor: environ(7)."""
    for name in ("VISUAL", "EDITOR"):
        with contextlib.suppress(ValueError):
            if words := shlex.split(os.environ.get(name, "")):
                return words
    found = next((each for each in _EDITORS if shutil.which(each)), None)
    return None if found is None else [found]


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Have the terminal give each key at once, for the block's duration. termios(3)."""
    if not is_terminal(0):
        yield
        return
    found = termios.tcgetattr(0)
    changed = termios.tcgetattr(0)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(0, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, found)


async def _read() -> bytes:
    try:
        await trio.lowlevel.wait_readable(0)
    except OSError as error:
        if error.errno != errno.EPERM:  # epoll(7) takes no regular file, which never waits
            raise
    try:
        return os.read(0, 1024)
    except OSError as error:
        if error.errno == errno.EIO:  # the terminal has gone
            return b""
        raise
