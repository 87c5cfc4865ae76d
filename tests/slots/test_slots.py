"""Two slots: sealed, signed, tried, switched while a program runs, and rolled back."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import libos
from libos.fs.node import Caller, Directory, File, Node, Symlink
from libos.fs.sealed import BLOCK, Sealed, sealed
from libos.slots import SlotError, SlotRoot, Slots
from libos.slots.slots import Flags

KEY = Ed25519PrivateKey.generate()


def tree(folder: Path, version: str) -> Path:
    """A tree with a file of several blocks, a link and a directory that nobody may write."""
    top = folder / f"tree-{version}"
    (top / "bin").mkdir(parents=True)
    (top / "version").write_text(version)
    (top / "bin/tool").write_text(f"#!/bin/sh\necho {version}\n")
    (top / "bin/tool").chmod(0o4755)
    (top / "big").write_bytes(version.encode() * (BLOCK * 2))
    (top / "link").symlink_to("version")
    (top / "bin").chmod(0o555)
    return top


async def content(node: Node, offset: int = 0, size: int = 1 << 30) -> bytes:
    """What a file of a tree holds."""
    assert isinstance(node, File)
    handle = await node.open(os.O_RDONLY, Caller())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(handle.close)
        return await handle.read(offset, size)
    raise AssertionError("nothing is swallowed")


async def version(root: Directory) -> str:
    """Which version a tree is."""
    return (await content(await root.walk(b"version"))).decode()


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def test_a_sealed_tree_shows_what_was_sealed_and_checks_each_block(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    assert slots.install(tree(tmp_path, "12"), KEY) == "a"
    root = SlotRoot(slots, KEY.public_key())
    assert sorted(await root.readdir()) == [b"big", b"bin", b"link", b"version"]
    link, folder = await root.walk(b"link"), await root.walk(b"bin")
    assert isinstance(link, Symlink)
    assert await link.readlink() == b"version"
    assert isinstance(folder, Directory)
    tool = (await folder.walk(b"tool")).known()
    assert tool is not None
    assert tool.mode & 0o7777 == 0o555
    place = slots.folder / "a/root/big"
    data = bytearray(place.read_bytes())
    data[BLOCK + 7] ^= 1
    place.write_bytes(data)
    big = await root.walk(b"big")
    assert await content(big, 5, 10) == b"2121212121"
    assert await content(big, 3 * BLOCK - 5, 100) == (b"12" * BLOCK * 2)[3 * BLOCK - 5 : 3 * BLOCK + 95]
    with pytest.raises(OSError, match="big is not what its seal says: block 1 differs") as failed:
        await content(big, BLOCK - 1, 2)
    assert failed.value.errno == errno.EIO
    (slots.folder / "a/root/added").write_text("x")
    place.unlink()
    with pytest.raises(OSError, match="No such file"):
        await content(big)
    place.symlink_to("version")
    with pytest.raises(OSError, match="is not what its seal says"):
        await content(big)
    assert b"added" not in await root.readdir()
    with pytest.raises(OSError, match="Read-only"):
        await big.open(os.O_WRONLY, Caller())  # type: ignore[attr-defined]  # it is a file
    root.close()


async def test_a_slot_is_switched_when_it_is_well_and_rolled_back_when_not(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.install(tree(tmp_path, "1"), KEY)
    root = SlotRoot(slots, KEY.public_key())
    slots.succeeded(root.slot)
    assert slots.install(tree(tmp_path, "2"), KEY) == "b"
    asked = []

    async def at_the_third() -> bool:
        asked.append(await version(root))
        if len(asked) == 2:
            raise RuntimeError("it cannot even be asked")
        return len(asked) == 3

    assert await root.switch(at_the_third) == "b"
    assert asked == ["2", "2", "2"]
    assert slots.flags()["b"] == Flags(2, 0, True)
    assert slots.install(tree(tmp_path, "3"), KEY, tries=2) == "a"
    assert await root.switch(no) == "b"
    assert await version(root) == "2"
    assert slots.flags()["a"] == Flags()
    assert await root.switch(yes) == "b"  # what has failed is not tried again
    root.close()


async def test_a_try_is_used_up_by_who_is_killed_while_it_is_tried(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.install(tree(tmp_path, "1"), KEY)
    slots.succeeded("a")
    slots.install(tree(tmp_path, "2"), KEY, tries=2)
    served = []
    for _ in range(3):  # each time anew, and never said to be well
        root = SlotRoot(slots, KEY.public_key())
        served.append(await version(root))
        root.close()
    assert served == ["2", "2", "1"]


async def test_what_the_key_did_not_sign_is_not_served(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.install(tree(tmp_path, "1"), KEY)
    slots.succeeded("a")
    root = SlotRoot(slots, KEY.public_key())
    slots.install(tree(tmp_path, "2"), Ed25519PrivateKey.generate())
    with pytest.raises(SlotError, match="not signed by the key"):
        await root.switch(yes)
    assert (root.slot, await version(root)) == ("a", "1")
    root.close()
    seal = slots.folder / "a/seal.json"
    seal.write_bytes(seal.read_bytes().replace(b"version", b"Version"))
    with pytest.raises(SlotError, match=r"no slot of .* can be used: .*/a: its seal is not signed"):
        SlotRoot(slots, KEY.public_key())


def test_slots_that_are_half_made_or_damaged_are_told(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    with pytest.raises(SlotError, match="nothing is installed"):
        SlotRoot(slots, KEY.public_key())
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bad").mkdir()
    os.mkfifo(tmp_path / "bad/fifo")
    with pytest.raises((OSError, SlotError), match="pipe"):
        slots.install(tmp_path / "bad", KEY)
    assert slots.best() is None
    assert slots.install(tree(tmp_path, "1"), KEY) == "a"  # over what was left
    (slots.folder / "slots.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(SlotError, match="is damaged"):
        slots.best()


@pytest.mark.parametrize("path", [b"a/b", b"..", b"x", b"f/.."])
def test_entries_that_are_no_tree_are_refused(path: bytes) -> None:
    entries = [Sealed(b"", 0o40755), Sealed(b"x", 0o100644), Sealed(b"f", 0o40755), Sealed(path, 0o100644)]
    with pytest.raises(ValueError, match="no place in a tree"):
        sealed(-1, entries)


@pytest.mark.system
async def test_a_program_that_runs_sees_the_other_slot_at_once(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    slots.install(tree(tmp_path, "1"), KEY)
    root = SlotRoot(slots, KEY.public_key())
    slots.succeeded("a")
    script = "while read -r _; do cat /opt/version /opt/link; sh /opt/bin/tool; done"
    manifest = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", script]},
        "mount": [{"at": "/opt", "node": root}],
    }
    async with libos.Supervisor() as supervisor:
        app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert app.stdin is not None
        assert app.stdout is not None

        async def answer() -> str:
            await app.stdin.send_all(b"\n")  # type: ignore[union-attr]  # as above
            said = b""
            while said.count(b"\n") < 1:
                said += await app.stdout.receive_some()  # type: ignore[union-attr]  # as above
            return said.decode()

        said = [await answer()]
        slots.install(tree(tmp_path, "2"), KEY)
        said.append(await answer())

        async def healthy() -> bool:
            said.append(await answer())
            return said[-1] == "222\n"

        assert await root.switch(healthy) == "b"
        slots.install(tree(tmp_path, "3"), KEY, tries=1)
        assert await root.switch(healthy) == "b"
        said.append(await answer())
        await app.kill()
        await app.aclose()
    root.close()
    assert said == ["111\n", "111\n", "222\n", "333\n", "222\n"]
