"""Following what happens in a running world, without trio: for `libos trace` and other views."""

from __future__ import annotations

from collections.abc import Iterator

from libos.control.folder import ControlError, Folder
from libos.control.wire import Lines, ProtocolError, decode, encode
from libos.events import Event
from libos.seen.reading import made

# Seconds for the first answer, as for any other question.
_FIRST_SECONDS = 5.0
_CHUNK = 256 * 1024


class Following:
    """The events of a running world; `fileno` can be waited for, and `take` then gives what is there.

    Iterating waits: it gives each event, and ends with the world. Close it.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        """Raises ControlError when no such world runs, or it knows no events."""
        self.name = name
        self.ended = False
        self._lines = Lines()
        self._sock = folder.connect(name)
        try:
            self._sock.settimeout(_FIRST_SECONDS)
            self._sock.sendall(encode({"request": "events"}))
            while (line := self._lines.take()) is None:
                self._receive()
            answer = decode(line)
            if answer.get("answer") != "events":
                raise ControlError(f'the world "{name}": {answer.get("text", "it tells no events")}')
            self._kept = int(answer.get("kept", 0))
            self._sock.settimeout(None)
        except (OSError, ProtocolError) as error:
            self._sock.close()
            raise ControlError(f'the world "{name}" does not answer ({error})') from error
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop following."""
        self._sock.close()

    def fileno(self) -> int:
        """The descriptor that becomes readable when something has come."""
        return self._sock.fileno()

    def pending(self) -> list[Event]:
        """Give the events that have come with the first answer. To be called once, before `take`."""
        return list(self._buffered())

    def kept(self) -> list[Event]:
        """Give those that happened before it followed. Instead of `pending` and `take`."""
        found = self.pending()
        while len(found) < self._kept and not self.ended:
            found += self.take()
        return found[: self._kept]

    def __iter__(self) -> Iterator[Event]:
        yield from self.pending()
        while not self.ended:
            yield from self.take()

    def take(self) -> list[Event]:
        """Give the events that have come, once something has: waits where nothing has. Raises ControlError
        when what comes is no answer of a world."""
        try:
            self._receive()
            return list(self._buffered())
        except ProtocolError as error:
            if self.ended:  # its supervisor was killed in the middle of a line, or long before
                return []
            raise ControlError(f'the world "{self.name}": {error}') from error

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            raise ProtocolError("it ended")
        self._lines.feed(data)

    def _buffered(self) -> Iterator[Event]:
        while not self.ended and (line := self._lines.take()) is not None:
            answer = decode(line)
            if answer.get("answer") == "end":
                self.ended = True
            told = answer.get("events", [])
            for value in told if isinstance(told, list) else []:
                if isinstance(value, dict) and (event := made(value.pop("version", None), value)) is not None:
                    yield event


def follow(folder: Folder, name: str) -> Iterator[Event]:
    """The events of a running world, until it ends. Raises ControlError."""
    with Following(folder, name) as following:
        yield from following
