"""The questions of `ask`: what a world's app wants to open or connect to, and who may say whether it does.

Rules:
- A question is open until the first answer: by the callback of the supervisor, by `App.answer`, by `libos
  ask` in another terminal, or by its time-out, which means no. It is withdrawn when nobody waits any more.
- A callback that raises, or gives what is no answer, says no, and an event tells why. One that gives None
  leaves the question to others.
- Each question and each answer is an event.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import trio

from libos.errors import SupervisorError

if TYPE_CHECKING:
    from libos.fs.layers.asking import Question

Observe = Callable[[str, Mapping[str, object]], None]


# The operation of a question about an address; all others are about files.
CONNECT = "connect"


@dataclass(frozen=True)
class Asked:
    """A question. `operation` is what asked first ("open", "stat", …), `path` is absolute in the world; of
    "connect" it is an address: "tcp!api.example.com!443"."""

    id: int
    path: str
    operation: str

    def fields(self) -> dict[str, object]:
        """For events."""
        what = "address" if self.operation == CONNECT else "path"
        return {"id": self.id, what: self.path}


# Says "once", "always" or "no", at once or later; None: somebody else answers.
OnAsk = Callable[[Asked], "str | Awaitable[str | None] | None"]


class Questions:
    """The open questions of one world. All on the trio thread."""

    def __init__(self, observe: Observe, on_ask: OnAsk | None = None) -> None:
        self._observe = observe
        self._on_ask = on_ask
        self._numbers = count(1)
        self._open: dict[int, tuple[Asked, Question]] = {}
        self._ids: dict[Question, int] = {}
        self._arrived = trio.Event()
        # Without a bound of its own: a world has at most 10,000 operations under way.
        self._new, self._taken = trio.open_memory_channel[Asked](math.inf)
        self._consulted: dict[int, trio.CancelScope] = {}

    # --- for layers

    def opened(self, path: bytes, question: Question) -> None:
        """Takes a new question about a path of the world, or about an address. Never waits."""
        asked = Asked(next(self._numbers), path.decode(errors="surrogateescape"), question.operation)
        self._open[asked.id] = (asked, question)
        self._ids[question] = asked.id
        self._observe("ask", {**asked.fields(), "operation": asked.operation})
        self._arrived.set()
        self._arrived = trio.Event()
        if self._on_ask is not None:
            self._new.send_nowait(asked)

    def closed(self, question: Question) -> None:
        """Takes what became of one. Never waits."""
        number = self._ids.pop(question)
        asked, _ = self._open.pop(number)
        answer = None if question.answer is None else question.answer.value
        self._observe("answer", {**asked.fields(), "answer": answer, "by": question.by})
        if (scope := self._consulted.get(number)) is not None and question.by != "callback":
            scope.cancel()

    # --- for who answers

    def open(self) -> list[Asked]:
        """The open questions, oldest first."""
        return [asked for asked, _ in self._open.values()]

    def answer(self, number: int, answer: str, by: str = "caller") -> None:
        """Answers an open question. Raises SupervisorError where there is none of this number, ValueError for
        what is no answer."""
        found = self._open.get(number)
        if found is None:
            raise SupervisorError(f"there is no open question {number}: it was answered, or nobody waits")
        found[1].give(answer, by)

    async def beyond(self, number: int) -> None:
        """Returns once a question with a higher number is open."""
        while next(reversed(self._open), 0) <= number:  # the last one has the highest number
            await self._arrived.wait()

    async def consult(self) -> None:
        """Asks the callback, each question in a task of its own, until it is cancelled."""
        async with trio.open_nursery() as nursery:
            async for asked in self._taken:
                if asked.id in self._open:
                    nursery.start_soon(self._ask, asked)

    async def _ask(self, asked: Asked) -> None:
        assert self._on_ask is not None
        with trio.CancelScope() as self._consulted[asked.id]:
            try:
                said = self._on_ask(asked)
                answer = await said if inspect.isawaitable(said) else said
                if answer is not None and asked.id in self._open:
                    self.answer(asked.id, answer, "callback")
            except Exception as error:
                reason = f"the callback that answers questions failed: {error!r}"
                self._observe("error", {"operation": "ask", "path": asked.path, "reason": reason})
                if asked.id in self._open:
                    self.answer(asked.id, "no", "callback")
        del self._consulted[asked.id]
