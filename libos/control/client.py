"""Asking a running world one thing, without trio: what `libos ps`, `kill` and `ns` need starts fast.

`libos exec` speaks for as long as its process lives and uses `wire.Channel` instead.
"""

from __future__ import annotations

import socket

from libos.control.folder import ControlError, Folder
from libos.control.wire import Lines, Message, ProtocolError, decode, encode

# Seconds for one answer. A supervisor answers in a millisecond; one that is stopped never does.
ANSWER_SECONDS = 5.0


def ask(folder: Folder, name: str, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
    """Say one message to the world and give its answer.

    Raises ControlError when no such world runs, when it does not answer in `seconds`, and with the
    world's own text when it refuses.
    """
    with folder.connect(name) as sock:
        return _ask(sock, name, message, seconds)


def ask_and_wait(folder: Folder, name: str, message: Message, seconds: float) -> None:
    """Say one message, and return once whoever answered it has ended. Raises ControlError as `ask`, and when
    that takes longer than `seconds`."""
    with folder.connect(name) as sock:
        _ask(sock, name, message)
        sock.settimeout(seconds)
        try:
            while sock.recv(4096):
                pass
        except TimeoutError:
            raise ControlError(f'"{name}" has not ended within {seconds:g} s: libos kill {name}') from None
        except ConnectionResetError:
            pass


def _ask(sock: socket.socket, name: str, message: Message, seconds: float = ANSWER_SECONDS) -> Message:
    sock.settimeout(seconds)
    try:
        sock.sendall(encode(message))
        answer = _read_answer(sock)
    except (OSError, ProtocolError) as error:
        raise ControlError(
            f'the world "{name}" does not answer ({error}); its supervisor may be stopped'
        ) from error
    if answer.get("answer") == "error":
        refused = ControlError(f'the world "{name}": {answer.get("text")}')
        status = answer.get("exit_status")
        if isinstance(status, int) and 0 < status < 128:
            refused.exit_status = status
        raise refused
    return answer


def _read_answer(sock: socket.socket) -> Message:
    lines = Lines()
    while (line := lines.take()) is None:
        data = sock.recv(65536)
        if not data:
            raise ProtocolError("the world ended before it answered")
        lines.feed(data)
    return decode(line)
