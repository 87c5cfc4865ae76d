"""Serves a tree of nodes to one 9P2000.L client over a byte stream.

- Requests of a connection are answered one after another, each within a deadline (ETIMEDOUT): a flush
  therefore finds nothing to do. The deadline is shorter than that for which a client waits in silence.
- Bounds of a connection: FIDS fids, frames of FRAME_MAX bytes. Beyond: EMFILE, or the connection ends.
- Bytes that are no message end the connection, and `serve` returns the reason; nothing else is touched.
- Nobody walks up: ".." is malformed, so a client sees the root and what is below it.
- What would change the tree is EROFS unless it is `writable`; a kind of request that is not served is
  EOPNOTSUPP.
- Every client is the app: who it says that it is makes no difference, and nobody is asked to prove it.
"""

from __future__ import annotations

import errno
import logging
import struct
from collections.abc import Awaitable, Callable

import trio

from libos.fs.node import Directory
from libos.fs.p9 import codec
from libos.fs.p9 import messages as p9
from libos.fs.p9.changing import Changing
from libos.fs.p9.codec import MalformedError
from libos.fs.p9.frames import Frames
from libos.fs.p9.messages import Message

log = logging.getLogger("libos.fs")

# Seconds that one request may take.
DEADLINE = 5.0


async def serve(
    root: Directory, stream: trio.abc.Stream, *, writable: bool = False, deadline: float = DEADLINE
) -> str | None:
    """Until the client is gone or errs; closes the stream and all that the client had open. Returns what the
    client did wrong, None if nothing."""
    connection = Connection(Changing(root, writable=writable), deadline)
    frames = Frames(stream)
    try:
        while (frame := await frames.next()) is not None:
            reply = await connection.answer(frame)
            with trio.fail_after(deadline):
                await stream.send_all(reply)
    except MalformedError as error:
        return str(error)
    except (trio.BrokenResourceError, trio.TooSlowError):
        return "the client does not take its replies"
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + deadline):
            await connection.files.close()
        await trio.aclose_forcefully(stream)
    return None


class Connection:
    """The answer to each request of one client."""

    def __init__(self, files: Changing, deadline: float) -> None:
        self.files = files
        self._deadline = deadline
        self._calls: dict[int, Callable[..., Awaitable[Message]]] = {
            p9.TVERSION: files.version,
            p9.TATTACH: files.attach,
            p9.TFLUSH: files.flush,
            p9.TWALK: files.walk,
            p9.TLOPEN: files.open,
            p9.TREAD: files.read,
            p9.TREADDIR: files.readdir,
            p9.TREADLINK: files.readlink,
            p9.TGETATTR: files.getattr,
            p9.TCLUNK: files.clunk,
            p9.TLCREATE: files.create,
            p9.TMKDIR: files.mkdir,
            p9.TSYMLINK: files.symlink,
            p9.TMKNOD: files.mknod,
            p9.TLINK: files.link,
            p9.TSETATTR: files.setattr,
            p9.TRENAMEAT: files.rename,
            p9.TUNLINKAT: files.unlink,
            p9.TWRITE: files.write,
            p9.TFSYNC: files.fsync,
        }

    async def answer(self, frame: bytes) -> bytes:
        """The reply to one frame; MalformedError for what is none."""
        kind, tag = struct.unpack_from("<BH", frame, 4)
        if kind not in p9.FIELDS:
            return _refused(tag, errno.EOPNOTSUPP)
        tag, message = codec.decode(frame)
        call = self._calls.get(message.kind)
        if call is None:
            raise MalformedError(f"kind {message.kind} is a reply")
        try:
            with trio.fail_after(self._deadline):
                return codec.encode(tag, await call(*message.fields))
        except trio.TooSlowError:
            return _refused(tag, errno.ETIMEDOUT)
        except MalformedError:
            raise
        except OSError as error:
            return _refused(tag, error.errno or errno.EIO)
        except Exception:
            # A fault of the node's, as in node.py: the client's other files go on.
            log.exception("9P: a node failed")
            return _refused(tag, errno.EIO)


def _refused(tag: int, number: int) -> bytes:
    return codec.encode(tag, Message(p9.RLERROR, (number,)))
