"""A tree served over FUSE, seen by real programs."""

from __future__ import annotations

from mounting import mounted

from libos.fs.skeleton import Skeleton
from libos.fs.synthetic import function, symlink, text


async def test_cat_prints_a_served_text() -> None:
    absent: list[bytes] = []
    root = Skeleton(absent.append)
    root.attach(b"/etc/motd", text("hello\n"))
    async with mounted({"w": root}) as mount:
        result = await mount.run("cat", "w/etc/motd")
        assert (result.status, result.out) == (0, b"hello\n")
        assert (await mount.run("cat", "w/etc/shadow")).status == 1
    assert absent == [b"/etc/shadow"]


async def test_a_function_is_called_at_each_open() -> None:
    count = 0

    def produce() -> str:
        nonlocal count
        count += 1
        return f"call {count}\n"

    root = Skeleton(lambda path: None)
    root.attach(b"/now", function(produce))
    root.attach(b"/link", symlink("now"))
    async with mounted({"w": root}) as mount:
        result = await mount.run("cat", "now", "link", directory="w")
        assert result.out == b"call 1\ncall 2\n"
        assert mount.faults == []
