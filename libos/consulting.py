"""The questions of dial grants that ask: may this address be connected to?

Rules, as the `ask` of a mount has them:
- "always" holds for the address from then on, "no" refuses it from then on, "once" lets one connection pass.
  No answer in time is no.
- One question an address at a time, however many connections wait for it; it is withdrawn when none of them
  waits any more. Nothing is sent outside before it is answered.
- Answers belong to the grant: another one of the same address asks anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from libos.asking import CONNECT
from libos.fs.layers.asking import TIMEOUT, Answer, Question

if TYPE_CHECKING:
    from libos.asking import Questions
    from libos.net.address import Address

# The grant's id, and the address.
_Key = tuple[str, str]


class Consulting:
    """Asks for one world. On the trio thread."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._open: dict[_Key, Question] = {}
        self._answers: dict[_Key, Answer] = {}

    async def consult(self, grant: str, address: Address, seconds: float | None) -> bool:
        """Whether a connection to an address may be made by a grant; waits for the answer, `seconds` at most
        (60 unless said)."""
        key = (grant, str(address))
        patience = TIMEOUT if seconds is None else seconds
        give_up = trio.current_time() + patience
        while True:
            answer = self._answers.get(key)
            if answer is Answer.ONCE:
                del self._answers[key]  # this connection's; others ask anew
                return True
            if answer is not None:
                return answer is Answer.ALWAYS
            if trio.current_time() >= give_up:
                return False
            await self._ask(key, patience)

    async def _ask(self, key: _Key, patience: float) -> None:
        question = self._open.get(key)
        if question is None:
            question = self._open[key] = Question(
                key[1].encode(), CONNECT, patience, lambda settled: self._settle(key, settled)
            )
            self._questions.opened(question.path, question)
        await question.wait()

    def _settle(self, key: _Key, question: Question) -> None:
        self._open.pop(key, None)
        if question.answer is not None:
            self._answers[key] = question.answer
        self._questions.closed(question)
