"""What a client of the control socket asks about a world's open questions: to list and to answer them.

Requests: {"request": "questions", "beyond": N or null}: with a number it is answered once there is a question
with a higher one, or after BEYOND_SECONDS; {"request": "answer", "question": N, "answer": "once"}. Answers:
"questions" with "questions" and "more", how many did not fit; "done".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import trio

from libos.control.wire import MAX_LINE, Message, ProtocolError, encode

if TYPE_CHECKING:
    from libos.app import App

# Seconds that a client waits for the next question before it asks again: shorter than its own patience.
BEYOND_SECONDS = 2.0
# Bytes of one answer, below what a line may have.
_ROOM = MAX_LINE // 2


async def answer_asking(app: App, message: Message) -> Message:
    """Do what a request of this kind asks and give the answer. Raises LibosError, ProtocolError."""
    if message["request"] == "questions":
        return await _questions(app, message.get("beyond"))
    number, answer = message.get("question"), message.get("answer")
    if not isinstance(number, int) or not isinstance(answer, str):
        raise ProtocolError('an answer has "question", a number, and "answer", a text')
    try:
        app.questions.answer(number, answer, "command")
    except ValueError:
        raise ProtocolError(f'{answer!r} is no answer: say "once", "always" or "no"') from None
    return {"answer": "done"}


async def _questions(app: App, beyond: object) -> Message:
    if not (beyond is None or isinstance(beyond, int)):
        raise ProtocolError('"beyond" is a number')
    if beyond is not None:
        with trio.move_on_after(BEYOND_SECONDS):
            await app.questions.beyond(beyond)
    return fitting("questions", [asdict(asked) for asked in app.questions.open() if asked.id > (beyond or 0)])


def fitting(what: str, wanted: Sequence[Mapping[str, object]]) -> Message:
    """An answer with as many of these objects as one line holds, and, as "more", how many did not fit."""
    shown: list[Message] = []
    room = _ROOM
    for each in wanted:
        room -= len(encode(dict(each)))
        if room < 0:
            break
        shown.append(dict(each))
    return {"answer": what, what: shown, "more": len(wanted) - len(shown)}
