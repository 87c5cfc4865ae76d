"""What the keeper's outside half does for a supervisor that has gone behind Landlock.

Such a supervisor opens, makes and removes files in the trees of its manifest alone, and traces nobody. What
it is granted later, and what stands in a mount that no rule of its reaches (an overlay, a tmpfs), is opened
here. Rules:

- A tree is told once: its descriptor, whether it may be written, whose it is, and the one file of it, where
  it is no more. Each request says which tree it is in. What it names by descriptor must be that file, or
  stand at or below the tree's top at this moment: as the kernel tells its place, and as openat2(2) with
  RESOLVE_BENEATH, through no link, finds it there again; or in a mount whose top is the tree's.
- A tree that is read-only is never opened for writing, made in, or changed: EROFS. Only regular files and
  directories are opened. Names are one name.
- Root takes the identity of a tree's owner for each request, as the server does.
- Files to be opened by path are named once, before anything is served; what is said later is passed
  over.
- What a thread executes is told by its path, which waits for nobody: looking at the file might.
- Of the files of sockets that were bound here, and of no others, one is removed.
- One request at a time, none waits: O_NONBLOCK is always there.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from libos.kernel import files, mounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from libos.keeper.channel import Message

# The flags of open(2) that are passed on, and those that are always there.
_PASSED = os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC | os.O_DIRECTORY
_OWN = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_RESOLVE = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_MAGICLINKS | mounts.RESOLVE_NO_SYMLINKS
# What the kernel says behind a place that is gone: d_path() in linux/fs/d_path.c.
_REMOVED = " (deleted)"
# What mknod(2) makes here: no device.
_MADE = (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)


class _Tree(NamedTuple):
    fd: int
    writable: bool
    owner: tuple[int, int]
    only_fd: int  # the one file of it that may be opened; -1 for all
    mount: int
    whole: bool  # its top is the top of its mount


class Openings:
    """All that is open to one supervisor. `answer` gives what to reply, and descriptors that are the
    caller's."""

    def __init__(self) -> None:
        self._trees: dict[int, _Tree] = {}
        self._files: frozenset[str] | None = None
        self._written: frozenset[str] = frozenset()
        self._sockets: dict[str, tuple[int, int]] = {}
        self._known: dict[str, Callable[[Any, list[int]], int | None]] = {
            "file": self._file,
            "tree": self._tree,
            "close": self._close,
            "open": self._open,
            "create": self._create,
            "mkdir": self._mkdir,
            "symlink": self._symlink,
            "mknod": self._mknod,
            "link": self._link,
            "remove": self._remove,
            "rename": self._rename,
            "bind": self._bind,
            "unbind": self._unbind,
        }

    def answer(self, message: Message, fds: list[int]) -> tuple[Message, list[int]]:
        """Do what a message asks for; its descriptors are still the caller's."""
        try:
            if message["do"] == "exe":
                return {"path": os.readlink(f"/proc/{int(message['thread'])}/exe")}, []
            made = self._known[message["do"]](message, fds)
        except OSError as error:
            return {"errno": error.errno or errno.EIO}, []
        except IndexError:
            return {"errno": errno.EMFILE}, []  # its descriptors could not be taken
        except (KeyError, TypeError, ValueError, AttributeError):
            return {"errno": errno.EINVAL}, []
        return {}, [] if made is None else [made]

    # --- what may be opened

    def name_files(self, read: list[str], written: list[str]) -> None:
        """Say which files may be opened by path, the first time that this is said. Nobody waits for it."""
        if self._files is None:
            self._files, self._written = frozenset((*read, *written)), frozenset(written)

    def _file(self, message: Message, fds: list[int]) -> int:
        path, flags = message["path"], message["flags"] & (_PASSED | os.O_CREAT)
        write = flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & (os.O_TRUNC | os.O_CREAT))
        if path not in (self._written if write else self._files or ()):
            raise _refused(errno.EACCES)
        fd = os.open(path, flags | _OWN, 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _refused(errno.EACCES)
        return fd

    def _tree(self, message: Message, fds: list[int]) -> None:
        number, (uid, gid) = int(message["tree"]), message["owner"]
        if number in self._trees:
            raise _refused(errno.EEXIST)
        fd = os.open(f"/proc/self/fd/{fds[0]}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount = _mount_of(fd)
        whole = _place(fd) == "/" and mount != _mount_of_path("/")
        only_fd, only = -1, message["only"].encode("latin-1")
        if only:
            only_fd = mounts.open_beneath(fd, only, os.O_PATH | os.O_NOFOLLOW, _RESOLVE)
        owner = int(uid), int(gid)
        self._trees[number] = _Tree(fd, message["write"] is True, owner, only_fd, mount, whole)

    def _close(self, message: Message, fds: list[int]) -> None:
        tree = self._trees.pop(message["tree"])
        os.close(tree.fd)
        if tree.only_fd >= 0:
            os.close(tree.only_fd)

    @contextmanager
    def _in(self, message: Message, fds: list[int], *, write: bool) -> Iterator[_Tree]:
        """The tree of a request whose descriptors all stand in it; the identity of its owner."""
        tree = self._trees[message["tree"]]
        if write and not tree.writable:
            raise _refused(errno.EROFS)
        for fd in fds:
            _require_beneath(tree, fd)
        switch = os.geteuid() == 0 and tree.owner[0] != 0
        try:
            if switch:
                files.set_file_owner(*tree.owner)
            yield tree
        finally:
            if switch:
                files.set_file_owner(0, os.getegid())

    # --- opening and making

    def _open(self, message: Message, fds: list[int]) -> int:
        flags = message["flags"] & _PASSED
        write = flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & os.O_TRUNC)
        with self._in(message, fds, write=write):
            if stat.S_IFMT(os.fstat(fds[0]).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                raise _refused(errno.EACCES)
            return os.open(f"/proc/self/fd/{fds[0]}", flags | _OWN)

    def _create(self, message: Message, fds: list[int]) -> int:
        flags = message["flags"] & _PASSED | _NEW | _OWN
        with self._in(message, fds, write=True) as tree:
            name = _name(tree, message["name"])
            return mounts.open_beneath(fds[0], name, flags, _RESOLVE, message["mode"] & 0o777)

    def _mkdir(self, message: Message, fds: list[int]) -> None:
        with self._in(message, fds, write=True) as tree:
            os.mkdir(_name(tree, message["name"]), message["mode"] & 0o777, dir_fd=fds[0])

    def _symlink(self, message: Message, fds: list[int]) -> None:
        with self._in(message, fds, write=True) as tree:
            target = message["target"].encode("latin-1")
            os.symlink(target, _name(tree, message["name"]), dir_fd=fds[0])

    def _mknod(self, message: Message, fds: list[int]) -> None:
        mode = message["mode"] & ~0o7000
        if stat.S_IFMT(mode) not in _MADE:
            raise _refused(errno.EPERM)
        with self._in(message, fds, write=True) as tree:
            os.mknod(_name(tree, message["name"]), mode, dir_fd=fds[0])

    def _link(self, message: Message, fds: list[int]) -> None:
        file_fd, directory_fd = fds[0], fds[1]
        with self._in(message, fds, write=True) as tree:
            name, source = _name(tree, message["name"]), f"/proc/self/fd/{file_fd}"
            os.link(source, name, dst_dir_fd=directory_fd, follow_symlinks=True)

    # --- removing and moving

    def _remove(self, message: Message, fds: list[int]) -> None:
        with self._in(message, fds, write=True) as tree:
            name = _name(tree, message["name"])
            if message["directory"]:
                os.rmdir(name, dir_fd=fds[0])
            else:
                os.unlink(name, dir_fd=fds[0])

    def _rename(self, message: Message, fds: list[int]) -> None:
        old_fd, new_fd = fds[0], fds[1]
        flags = message["flags"] & (files.RENAME_NOREPLACE | files.RENAME_EXCHANGE)
        with self._in(message, fds, write=True) as tree:
            old, new = _name(tree, message["name"]), _name(tree, message["new"])
            files.rename(old_fd, old, new_fd, new, flags)

    # --- published unix sockets

    def _bind(self, message: Message, fds: list[int]) -> int:
        path = message["path"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            found = os.lstat(path)
            self._sockets[path] = found.st_dev, found.st_ino
            return listener.detach()

    def _unbind(self, message: Message, fds: list[int]) -> None:
        path = message["path"]
        made, found = self._sockets.pop(path), os.lstat(path)
        if stat.S_ISSOCK(found.st_mode) and made == (found.st_dev, found.st_ino):
            os.unlink(path)


def _refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _name(tree: _Tree, text: str) -> bytes:
    """One name, whose bytes came as characters. The caller has checked it too: here all depends on it."""
    name = text.encode("latin-1")
    if tree.only_fd >= 0 or b"/" in name or b"\0" in name or name in (b"", b".", b".."):
        raise _refused(errno.EINVAL)
    return name


def _require_beneath(tree: _Tree, fd: int) -> None:
    """EXDEV for what does not stand in a tree now; ESTALE for what has another place by now."""
    if tree.only_fd >= 0:
        if not os.path.samestat(os.fstat(fd), os.fstat(tree.only_fd)):
            raise _refused(errno.EXDEV)
        return
    if tree.whole and _mount_of(fd) == tree.mount:
        return
    top, place = _place(tree.fd), _place(fd)
    within = top.rstrip("/") + "/"
    below = "." if place == top else place.removeprefix(within)
    if place != top and not place.startswith(within):
        raise _refused(errno.EXDEV)
    try:
        again_fd = mounts.open_beneath(tree.fd, below, os.O_PATH | os.O_NOFOLLOW, _RESOLVE)
    except FileNotFoundError:
        if below.endswith(_REMOVED) and _mount_of(fd) == tree.mount:
            return  # the name by which it was opened is gone, and stood here when it was removed
        raise
    try:
        if not os.path.samestat(os.fstat(again_fd), os.fstat(fd)):
            raise _refused(errno.ESTALE)
    finally:
        os.close(again_fd)


def _place(fd: int) -> str:
    """Where a descriptor's file stands, as the kernel says. proc_pid_fd(5)."""
    return os.readlink(f"/proc/self/fd/{fd}")


def _mount_of(fd: int) -> int:
    """The number of the mount by which a file was opened. proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{fd}") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))


def _mount_of_path(path: str) -> int:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _mount_of(fd)
    finally:
        os.close(fd)
