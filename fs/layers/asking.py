"""Ask: a file is looked at and opened once somebody said that it may be.

Rules:
- Looking a name up never waits, since that would hold up its whole directory; stat and open of a file do.
  Directories and symbolic links are not asked about.
- ALWAYS holds for the path from then on, NO makes the name absent (ENOENT, EACCES to make it), ONCE lets one
  open pass, and stat until that is closed. No answer in time is NO.
- One question a path at a time, however many wait for it. It is withdrawn when none of them waits any more.
- rename, link and remove cannot wait either: they are EACCES for a file that is not allowed, and use ONCE up.
  Answers go with a file that is renamed, so nobody gets at one file by the answer for another.
- What the program makes itself is its own: ALWAYS.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import trio

from libos.fs.layers.answers import Answers
from libos.fs.layers.layer import Call, Layer, Proceed
from libos.fs.moving import RENAME_EXCHANGE
from libos.fs.node import Cache, Directory, Handle, Node, Symlink, refusal

# Seconds that an answer may take unless said: a person who sits at the terminal.
TIMEOUT = 60.0

WAITING = frozenset({"stat", "setattr", "getxattr", "listxattr", "setxattr", "removexattr", "open"})
MOVING = frozenset({"remove", "rename", "link"})
MAKING = frozenset({"create", "mknod"})


class Answer(StrEnum):
    """What may be said."""

    ONCE = "once"
    ALWAYS = "always"
    NO = "no"


class Question:
    """One file that a program wants. `path` is below the layer's root; `operation` is what asked first."""

    def __init__(
        self, path: bytes, operation: str, timeout: float, settle: Callable[[Question], None]
    ) -> None:
        self.path = path
        self.operation = operation
        self.until = trio.current_time() + timeout
        self.waiting = 0
        # The answer, and who gave it: "caller", "timeout", or "gone" when nobody waits any more.
        self.answer: Answer | None = None
        self.by = ""
        self._settle = settle
        self._answered = trio.Event()

    def give(self, answer: Answer | str, by: str = "caller") -> bool:
        """Answers; False where that was done before. ValueError for what is no answer."""
        answer = Answer(answer)
        if self.by:
            return False
        self.answer, self.by = answer, by
        self._settle(self)
        self._answered.set()
        return True

    def withdraw(self) -> None:
        """Nobody waits any more."""
        if not self.by:
            self.by = "gone"
            self._settle(self)

    async def wait(self) -> None:
        """Returns when it is answered, by the time-out at last."""
        self.waiting += 1
        try:
            with trio.move_on_at(self.until) if self.until < math.inf else trio.CancelScope():
                await self._answered.wait()
            self.give(Answer.NO, "timeout")
        finally:
            self.waiting -= 1
            if not self.waiting:
                self.withdraw()


class Ask(Layer):
    """Asks by `opened(question)`, and tells by `closed(question)` what became of it. Neither waits."""

    operations = WAITING | MOVING | MAKING

    def __init__(
        self,
        opened: Callable[[Question], None],
        closed: Callable[[Question], None] | None = None,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        if not timeout > 0:
            raise ValueError("the time for an answer is more than 0 seconds")
        self.timeout = self.patience = timeout
        self.questions: dict[bytes, Question] = {}
        self._opened = opened
        self._closed = closed
        self._answers = Answers()

    def decide(self, path: bytes, answer: Answer | None) -> None:
        """Answers before it is asked, or, with None, lets it be asked again; what is open stays open."""
        self._answers.set(path, None if answer is None else answer.value)

    # --- hooks

    def hides(self, path: bytes, directory: bool) -> bool:
        return self._answers.get(path) == Answer.NO

    def waits(self, path: bytes, directory: bool) -> bool:
        return not directory and not self._answers.may_look(path)

    def cache(self, cache: Cache, path: bytes) -> Cache:
        return Cache(content=cache.content, direct=cache.direct)

    async def around(self, call: Call, proceed: Proceed) -> Any:
        if call.operation in MAKING:
            made = await proceed()
            self._answers.set(call.path, Answer.ALWAYS.value)
            return made
        if call.operation in MOVING:
            return await self._move(call, proceed)
        if isinstance(call.node, (Directory, Symlink)):
            return await proceed()
        if call.operation != "open":
            await self._permit(call)
            return await proceed()
        used = await self._permit(call)
        try:
            handle: Handle = await proceed()
        except BaseException:
            self._answers.give_back(call.path, used)
            raise
        self._answers.hold(call.path, handle, used)
        return handle

    def closed(self, handle: Handle) -> None:
        self._answers.let_go(handle)

    # --- asking

    async def _permit(self, call: Call) -> bool:
        """Waits until the file is allowed; whether that used a ONCE up. ENOENT for NO."""
        give_up = trio.current_time() + self.timeout
        while self._answers.get(call.path) != Answer.NO:
            if call.operation == "open":
                if self._answers.may_open(call.path):
                    return self._answers.take(call.path)
            elif self._answers.may_look(call.path):
                return False
            if trio.current_time() >= give_up:
                break
            await self._ask(call)
        raise refusal(errno.ENOENT)

    async def _ask(self, call: Call) -> None:
        question = self.questions.get(call.path)
        if question is None:
            question = Question(call.path, call.operation, self.timeout, self._settle)
            self.questions[call.path] = question
            self._opened(question)
        await question.wait()

    def _settle(self, question: Question) -> None:
        self.questions.pop(question.path, None)
        if question.answer is not None:
            self._answers.set(question.path, question.answer.value)
        if self._closed is not None:
            self._closed(question)

    # --- names that move

    async def _move(self, call: Call, proceed: Proceed) -> Any:
        if call.operation == "link":
            assert call.to is not None
            always = self._use(call.to, call.to_path, call.name)
            await proceed()
            self._answers.set(call.path, Answer.ALWAYS.value if always else None)
            return None
        await self._use_name(call.node, call.name, call.path)
        if call.operation == "remove":
            await proceed()
            return self._answers.forget(call.path)
        assert call.to is not None
        if call.to_path != call.path:
            await self._use_name(call.to, call.to_name, call.to_path)
        await proceed()
        self._answers.move(call.path, call.to_path, exchange=bool(call.flags & RENAME_EXCHANGE))
        return None

    async def _use_name(self, parent: Node, name: bytes, path: bytes) -> None:
        """As `_use`, for what has a name, if anything has."""
        assert isinstance(parent, Directory)
        try:
            node = await parent.walk(name)
        except FileNotFoundError:
            return
        self._use(node, path, name)

    def _use(self, node: Node, path: bytes, name: bytes) -> bool:
        """EACCES unless the file is allowed; whether it is so always."""
        if isinstance(node, (Directory, Symlink)) or self._answers.get(path) == Answer.ALWAYS:
            return True
        if not self._answers.take(path):
            raise refusal(errno.EACCES, name)
        return False
