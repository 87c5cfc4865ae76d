"""The server under whatever a client may say: each request has one reply, and what is read-only stays so."""

from __future__ import annotations

import errno

import trio
from hypothesis import given
from hypothesis import strategies as st

from libos.fs.memory import memory_tree
from libos.fs.node import Caller, Directory, File, Node, Symlink
from libos.fs.p9 import messages as p9
from libos.fs.p9.changing import Changing
from libos.fs.p9.codec import decode, encode
from libos.fs.p9.messages import FIELDS, Message
from libos.fs.p9.server import Connection

CALLER = Caller(uid=1000, gid=1000)
# What a client may ask, but for TVERSION and TATTACH, which come first.
REQUESTS = [kind for kind in FIELDS if kind % 2 == 0 and kind not in (p9.TVERSION, p9.TATTACH)]
NAMES = st.sampled_from([b"a", b"b", b"d", b"l"])
# Few fids, names and offsets, so that requests meet; modes and flags of all kinds.
FEW: dict[str, st.SearchStrategy[object]] = {
    "H": st.integers(0, 3),
    "I": st.integers(0, 3) | st.integers(0, 0xFFFFFFFF),
    "Q": st.integers(0, 9) | st.integers(0, 2**64 - 1),
    "s": st.just(b"a") | st.just(b""),
    "n": NAMES,
    "D": st.binary(max_size=9),
    "N": st.lists(NAMES, max_size=2).map(tuple),
}


@st.composite
def requests(draw: st.DrawFn) -> Message:
    kind = draw(st.sampled_from(REQUESTS))
    return Message(kind, tuple(draw(FEW[letter]) for letter in FIELDS[kind]))


async def filled() -> Directory:
    root = memory_tree(limit_bytes=1 << 20)
    for directory in (root, await root.mkdir(b"d", 0o755, CALLER)):
        assert isinstance(directory, Directory)
        _, handle = await directory.create(b"a", 0o644, 2, CALLER)
        await handle.write(0, b"content")
        await handle.close()
    await root.symlink(b"l", b"d", CALLER)
    return root


async def shown(node: Node) -> object:
    """All that is in a tree, but for its times."""
    now = await node.stat()
    what: object = None
    if isinstance(node, Directory):
        what = {name: await shown(await node.walk(name)) for name in sorted(await node.readdir())}
    elif isinstance(node, Symlink):
        what = await node.readlink()
    elif isinstance(node, File):
        what = await (await node.open(0, CALLER)).read(0, 1 << 20)
    return now.mode, now.size, what


async def answered(root: Directory, said: list[Message], *, writable: bool) -> None:
    """Each message has one reply, which is of its kind or an errno."""
    connection = Connection(Changing(root, writable=writable), 5)
    first = [
        Message(p9.TVERSION, (65536, p9.VERSION)),
        Message(p9.TATTACH, (0, p9.NO_FID, b"", b"", 0)),
        Message(p9.TWALK, (0, 1, (b"a",))),
        Message(p9.TLOPEN, (1, 0)),
    ]
    for message in (*first, *said):
        tag, reply = decode(await connection.answer(encode(5, message)))
        assert tag == 5
        assert reply.kind in (message.kind + 1, p9.RLERROR)
        if reply.kind == p9.RLERROR:
            assert reply.fields[0] in errno.errorcode
            assert reply.fields[0] != errno.EIO, message  # that would be a fault
    await connection.files.close()


@given(st.lists(requests(), max_size=30))
def test_whatever_is_asked_has_one_reply(said: list[Message]) -> None:
    async def main() -> None:
        await answered(await filled(), said, writable=True)

    trio.run(main)


@given(st.lists(requests(), max_size=30))
def test_what_is_served_read_only_stays_as_it_was(said: list[Message]) -> None:
    async def main() -> None:
        root = await filled()
        before = await shown(root)
        await answered(root, said, writable=False)
        assert await shown(root) == before

    trio.run(main)
