"""One way to do file operations, whatever stands behind it: nodes called directly, or a process in some
namespace.

The operations are those of the module os, asynchronous, with paths that are relative bytes; `stat` gives a
dict.
"""

from __future__ import annotations

import ast
import errno
import itertools
import os
import stat
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import trio

from libos.fs.moving import rename
from libos.fs.node import Caller, Change, Directory, File, Handle, Node, Symlink

# rename's flags: renameat2(2)
NOREPLACE, EXCHANGE = 1, 2


class Files(Protocol):
    """What a case may do. `kernel`: whether the kernel stands between, with its checks and its caches."""

    kernel: bool

    async def do(self, operation: str, *arguments: Any) -> Any:
        """One operation of agent.OPERATIONS; OSError with its errno."""


@contextmanager
def refused(*numbers: int) -> Iterator[None]:
    """The block must raise an OSError with one of these errnos."""
    try:
        yield
    except OSError as error:
        names = [errno.errorcode[number] for number in numbers]
        assert error.errno in numbers, f"{errno.errorcode[error.errno or 0]} instead of {names}"
    else:
        raise AssertionError(f"not refused: {[errno.errorcode[number] for number in numbers]}")


class Calls:
    """The operations by name: `files.mkdir(b"a", 0o755)`."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.kernel = files.kernel

    def __getattr__(self, operation: str) -> Any:
        def call(*arguments: Any) -> Awaitable[Any]:
            return self.files.do(operation, *arguments)

        return call

    async def put(self, path: bytes, data: bytes = b"", mode: int = 0o644) -> None:
        """Makes or replaces a file."""
        fd = await self.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
        if data:
            assert await self.write(fd, data) == len(data)
        await self.close(fd)

    async def get(self, path: bytes) -> bytes:
        """All of a file."""
        fd = await self.open(path, os.O_RDONLY)
        parts = []
        while data := await self.read(fd, 1 << 16):
            parts.append(data)
        await self.close(fd)
        return b"".join(parts)


class RemoteFiles:
    """By an agent process, over its stdin and stdout."""

    kernel = True

    def __init__(self, stdin: trio.abc.SendStream, stdout: trio.abc.ReceiveStream) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._rest = b""

    async def do(self, operation: str, *arguments: Any) -> Any:
        """Asks the agent."""
        await self._stdin.send_all(repr((operation, arguments)).encode() + b"\n")
        while b"\n" not in self._rest:
            chunk = await self._stdout.receive_some(1 << 20)
            if not chunk:
                raise RuntimeError("the agent ended")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        kind, value = ast.literal_eval(line.decode())
        if kind == "errno":
            raise OSError(value, os.strerror(value))
        return value


class OpenFile:
    """A file descriptor of NodeFiles."""

    def __init__(self, node: Node, handle: Handle, append: bool) -> None:
        self.node = node
        self.handle = handle
        self.append = append
        self.offset = 0


class NodeFiles:
    """By calling nodes: what the kernel does between a system call and a node, as far as cases need it."""

    kernel = False

    def __init__(self, root: Directory) -> None:
        self.root = root
        self.caller = Caller()
        self.open_files: dict[int, OpenFile] = {}
        self.numbers: dict[Node, int] = {}

    async def do(self, operation: str, *arguments: Any) -> Any:
        """Calls the method of this name."""
        return await getattr(self, f"do_{operation}")(*arguments)

    # --- paths

    async def find(self, path: bytes, *, follow: bool = True, depth: int = 0) -> Node:
        """The node of a path."""
        here: Node = self.root
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        for index, name in enumerate(names):
            node = await self.directory(here).walk(self.name(name))
            if isinstance(node, Symlink) and (follow or index < len(names) - 1):
                if depth > 40:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                rest = b"/".join([*names[:index], await node.readlink(), *names[index + 1 :]])
                return await self.find(rest, follow=follow, depth=depth + 1)
            here = node
        return here

    @staticmethod
    def directory(node: Node) -> Directory:
        """ENOTDIR for what is none."""
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return node

    @staticmethod
    def name(name: bytes) -> bytes:
        """ENAMETOOLONG for what is no name."""
        if len(name) > 255:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return name

    async def split(self, path: bytes) -> tuple[Directory, bytes]:
        """The directory and the last name of a path."""
        head, _, tail = path.rpartition(b"/")
        return self.directory(await self.find(head)), self.name(tail)

    # --- open files

    async def do_open(self, path: bytes, flags: int, mode: int = 0o777) -> int:
        mode &= ~0o022
        try:
            node = await self.find(path, follow=not flags & os.O_NOFOLLOW)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                raise
            parent, name = await self.split(path)
            node, handle = await parent.create(name, mode, flags, self.caller)
        else:
            if flags & os.O_CREAT and flags & os.O_EXCL:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
            if isinstance(node, Directory):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not isinstance(node, File):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            handle = await node.open(flags, self.caller)
        number = next(free for free in itertools.count(3) if free not in self.open_files)
        self.open_files[number] = OpenFile(node, handle, bool(flags & os.O_APPEND))
        return number

    async def do_close(self, fd: int) -> None:
        await self.open_files.pop(fd).handle.close()

    async def close_all(self) -> None:
        """What the kernel does for a program that ends."""
        for fd in list(self.open_files):
            await self.do_close(fd)

    async def do_read(self, fd: int, size: int) -> bytes:
        data: bytes = await self.do_pread(fd, size, self.open_files[fd].offset)
        self.open_files[fd].offset += len(data)
        return data

    async def do_pread(self, fd: int, size: int, offset: int) -> bytes:
        return await self.open_files[fd].handle.read(offset, size)

    async def do_write(self, fd: int, data: bytes) -> int:
        opened = self.open_files[fd]
        if opened.append:
            opened.offset = (await opened.node.stat()).size
        count = await opened.handle.write(opened.offset, data)
        opened.offset += count
        return count

    async def do_pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return await self.open_files[fd].handle.write(offset, data)

    async def do_seek(self, fd: int, offset: int, whence: int) -> int:
        opened = self.open_files[fd]
        base = {0: 0, 1: opened.offset, 2: (await opened.node.stat()).size}[whence]
        opened.offset = base + offset
        return opened.offset

    async def do_fsync(self, fd: int) -> None:
        await self.open_files[fd].handle.fsync(data_only=False)

    # --- attributes

    async def do_fstat(self, fd: int) -> dict[str, int]:
        return await self.fields(self.open_files[fd].node)

    async def do_stat(self, path: bytes) -> dict[str, int]:
        return await self.fields(await self.find(path))

    async def do_lstat(self, path: bytes) -> dict[str, int]:
        return await self.fields(await self.find(path, follow=False))

    async def fields(self, node: Node) -> dict[str, int]:
        """As agent.stat_fields."""
        found = (await node.stat())._asdict()
        return found | {"ino": self.numbers.setdefault(node, len(self.numbers) + 1)}

    async def do_truncate(self, path: bytes, size: int) -> None:
        await (await self.find(path)).setattr(Change(size=size))

    async def do_ftruncate(self, fd: int, size: int) -> None:
        await self.open_files[fd].node.setattr(Change(size=size))

    async def do_chmod(self, path: bytes, mode: int) -> None:
        await (await self.find(path)).setattr(Change(mode=mode))

    async def do_chown(self, path: bytes, uid: int, gid: int) -> None:
        change = Change(uid=None if uid == -1 else uid, gid=None if gid == -1 else gid)
        await (await self.find(path)).setattr(change)

    async def do_utime(self, path: bytes, atime: int, mtime: int) -> None:
        await (await self.find(path)).setattr(Change(atime=atime, mtime=mtime))

    async def do_getxattr(self, path: bytes, name: bytes) -> bytes:
        return await (await self.find(path)).getxattr(name)

    async def do_setxattr(self, path: bytes, name: bytes, value: bytes) -> None:
        await (await self.find(path)).setxattr(name, value)

    async def do_listxattr(self, path: bytes) -> list[bytes]:
        return list(await (await self.find(path)).listxattr())

    async def do_removexattr(self, path: bytes, name: bytes) -> None:
        await (await self.find(path)).removexattr(name)

    # --- names

    async def do_mkdir(self, path: bytes, mode: int = 0o777) -> None:
        parent, name = await self.split(path)
        await parent.mkdir(name, mode & ~0o022, self.caller)

    async def do_mknod(self, path: bytes, mode: int) -> None:
        parent, name = await self.split(path)
        await parent.mknod(name, mode & ~0o022, 0, self.caller)

    async def do_symlink(self, target: bytes, path: bytes) -> None:
        parent, name = await self.split(path)
        await parent.symlink(name, target, self.caller)

    async def do_readlink(self, path: bytes) -> bytes:
        node = await self.find(path, follow=False)
        if not isinstance(node, Symlink):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return await node.readlink()

    async def do_link(self, old: bytes, new: bytes) -> None:
        node = await self.find(old, follow=False)
        parent, name = await self.split(new)
        await parent.link(name, node)

    async def do_unlink(self, path: bytes) -> None:
        parent, name = await self.split(path)
        await parent.remove(name, directory=False)

    async def do_rmdir(self, path: bytes) -> None:
        parent, name = await self.split(path)
        await parent.remove(name, directory=True)

    async def do_rename(self, old: bytes, new: bytes, flags: int = 0) -> None:
        parent, name = await self.split(old)
        new_parent, new_name = await self.split(new)
        await rename(parent, name, new_parent, new_name, flags)

    async def do_listdir(self, path: bytes) -> list[bytes]:
        return await self.directory(await self.find(path)).readdir()


def kind(fields: dict[str, int]) -> int:
    """The type bits of a stat result."""
    return stat.S_IFMT(fields["mode"])
