"""A connection to a 9P2000.L server: many requests under way, each answered in its own time.

- One of those who wait reads for all and hands each its reply, as the mount driver of Plan 9 does
  (port/devmnt.c): there is no task that would outlive them. Who is cancelled hands the reading on.
- What is let go of goes along with later requests, a few at a time, and nobody waits for it.
- A request that is cancelled leaves its tag behind: its reply is thrown away when it comes, and what it made
  at the server is let go of.
- The server dies, says what is no message, answers with another tag or kind, or is silent for longer than
  the deadline while somebody waits: the connection ends. The request that finds out is EIO with a fault event
  that says why, each other one and each later one EIO, as v9fs has it.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import trio

from libos.fs.node import APP, ReportedError, refusal
from libos.fs.p9 import codec
from libos.fs.p9 import messages as p9
from libos.fs.p9.codec import MalformedError
from libos.fs.p9.frames import FRAME_MAX, FRAME_MIN, Frames
from libos.fs.p9.messages import Message, Qid

# Seconds for which a server may be silent while somebody waits, or not take a request.
DEADLINE = 10.0
# Replies that may be owed to requests that were cancelled.
OWED_MAX = 64
# Fids that are let go of with one request, and those of which the server has not said that it did. Its few
# replies fit into a socket's buffer: neither side ever waits for the other to read.
CLUNKS, CLUNKS_OWED = 16, 64
# Fids that wait for that: twice as many as a server of libos has.
DROPPED_MAX = 1 << 18


@dataclass(slots=True, eq=False)
class Asked:
    """A request that was sent. `makes` is the fid that it makes at the server, if any."""

    kind: int
    makes: int | None
    woken: trio.Event = field(default_factory=trio.Event)
    reply: Message | None = None
    wanted: bool = True


class Client:
    """One connection. `attach` comes first."""

    def __init__(self, stream: trio.abc.Stream, *, deadline: float = DEADLINE) -> None:
        self._stream = stream
        self._frames = Frames(stream)
        self._deadline = deadline
        self._sending = trio.Lock()
        self._reading = False
        self._heard = 0.0
        self._tags = itertools.count()
        self._fids = itertools.count()
        self._asked: dict[int, Asked] = {}
        self._dropped: list[int] = []
        self.ended = False
        self.data_max = 0

    async def attach(self) -> tuple[int, Qid]:
        """The fid and the qid of the root. EIO where the server speaks something else."""
        size, version = await self.ask(p9.TVERSION, FRAME_MAX, p9.VERSION)
        if version != p9.VERSION or not FRAME_MIN <= size <= FRAME_MAX:
            raise await self._end(f"the server speaks {version!r} in frames of {size} bytes")
        # What a write has before its data: the header, fid, offset and count.
        self.data_max = size - codec.HEADER - 16
        fid = self.fid()
        (qid,) = await self.ask(p9.TATTACH, fid, p9.NO_FID, b"app", b"", APP[0])
        if qid.kind != 0x80:
            raise await self._end("the server's root is not a directory")
        return fid, qid

    def fid(self) -> int:
        """A number that was never used."""
        return next(self._fids)

    def drop(self, fid: int) -> None:
        """Lets go of a fid with one of the next requests; never waits."""
        if len(self._dropped) >= DROPPED_MAX:
            self.close()
        if not self.ended:
            self._dropped.append(fid)

    def close(self) -> None:
        """Ends the connection as far as requests go; the stream is the caller's. Never waits."""
        self.ended = True
        self._dropped.clear()
        for asked in self._asked.values():
            asked.woken.set()
        self._asked.clear()

    async def ask(self, kind: int, *fields: object, makes: int | None = None) -> tuple[Any, ...]:
        """The fields of the reply. OSError with the server's errno; EIO once the connection has ended."""
        reply = await self._exchange(kind, fields, makes)
        if reply.kind == p9.RLERROR:
            (number,) = reply.fields
            raise refusal(number if number in errno.errorcode else errno.EIO)
        return reply.fields

    async def _exchange(self, kind: int, fields: tuple[object, ...], makes: int | None) -> Message:
        asked = Asked(kind, makes)
        try:
            async with self._sending:
                if self.ended:
                    raise refusal(errno.EIO)
                if not any(self._waiting()):
                    self._heard = trio.current_time()
                frames = self._clunks() + self._frame(asked, fields)
                # A request that is half sent cannot be taken back.
                with trio.CancelScope(shield=True), trio.fail_after(self._deadline):
                    await self._stream.send_all(frames)
        except trio.TooSlowError:
            raise await self._end(f"the server takes no request for {self._deadline:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise await self._end("the server is gone") from None
        try:
            return await self._reply(asked)
        except trio.Cancelled:
            asked.wanted = False
            raise

    def _frame(self, asked: Asked, fields: tuple[object, ...]) -> bytes:
        """A request, which is asked from now on."""
        tag = p9.NO_TAG if asked.kind == p9.TVERSION else self._tag()
        frame = codec.encode(tag, Message(asked.kind, fields))
        self._asked[tag] = asked
        return frame

    def _clunks(self) -> bytes:
        """Requests to let go of some of what was dropped."""
        if not self._dropped:
            return b""
        owed = sum(each.kind == p9.TCLUNK for each in self._asked.values())
        most = min(CLUNKS, CLUNKS_OWED - owed, len(self._dropped))
        gone = [self._dropped.pop() for _ in range(most)]
        return b"".join(self._frame(Asked(p9.TCLUNK, None, wanted=False), (fid,)) for fid in gone)

    async def _reply(self, asked: Asked) -> Message:
        """Waits for it, reading for all where nobody does."""
        while asked.reply is None:
            if self.ended:
                raise refusal(errno.EIO)
            if self._reading:
                await asked.woken.wait()
                asked.woken = trio.Event()
            else:
                await self._read(asked)
        return asked.reply

    async def _read(self, reader: Asked) -> None:
        """Takes one frame, and hands the reading on."""
        self._reading = True
        try:
            with trio.fail_at(self._heard + self._deadline):
                frame = await self._frames.next()
            if frame is None:
                raise trio.BrokenResourceError
            self._heard = trio.current_time()
            self._take(*codec.decode(frame))
        except trio.TooSlowError:
            raise await self._end(f"the server is silent for {self._deadline:g} s") from None
        except MalformedError as error:
            raise await self._end(f"the server sent what is no message: {error}") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise await self._end("the server is gone") from None
        finally:
            self._reading = False
            for other in self._waiting():
                if other is not reader:
                    other.woken.set()
                    break

    def _waiting(self) -> Iterator[Asked]:
        return (each for each in self._asked.values() if each.wanted and each.reply is None)

    def _take(self, tag: int, message: Message) -> None:
        asked = self._asked.pop(tag, None)
        if asked is None:
            raise MalformedError(f"a reply with tag {tag}, which nobody uses")
        if message.kind not in (asked.kind + 1, p9.RLERROR):
            raise MalformedError(f"a request of kind {asked.kind} is answered with {message.kind}")
        asked.reply = message
        asked.woken.set()
        if not asked.wanted and asked.makes is not None and message.kind != p9.RLERROR:
            self._dropped.append(asked.makes)

    def _tag(self) -> int:
        if sum(not each.wanted and each.kind != p9.TCLUNK for each in self._asked.values()) > OWED_MAX:
            self.close()
            raise ReportedError(errno.EIO, f"9P: the server owes more than {OWED_MAX} replies")
        return next(tag for number in self._tags if (tag := number % p9.NO_TAG) not in self._asked)

    async def _end(self, why: str) -> OSError:
        if self.ended:
            return refusal(errno.EIO)
        self.close()
        await trio.aclose_forcefully(self._stream)
        return ReportedError(errno.EIO, f"9P: {why}")
