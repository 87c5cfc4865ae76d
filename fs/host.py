"""A directory of the host, served.

Rules:
- Nothing is opened by a path: one name at a time, relative to a descriptor, never through a link (openat2
  with RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS); further uses of an inode go by its
  descriptor.
- A file is the same node for as long as somebody holds it: by (st_dev, st_ino), which its descriptor keeps
  from being used again. A descriptor closed for want of room is opened again by parent and name, and
  compared.
- `owner` is who the app is on the host: what that user owns shows as the app's, all else as nobody's.
  Started by root, each call is made as the owner, who alone is asked what is allowed and owns what is made.
- Set-user-id and set-group-id bits of files are neither shown nor made, device files are not made, other
  extended attributes than user.* are not there.
- What stands on a file system whose content depends on who opens it (proc, sysfs, cgroup …) is EACCES: it
  would be opened by the server.
- Names and attributes are kept while the host's changes are told (libos.fs.host_watch); else names never,
  and attributes for a tenth of a second where nothing changed lately. Content stays as long as size and time
  of change do.
- Calls run on the trio thread, as the page cache answers them; fsync runs in a worker thread. A tree on a
  slow network file system holds up the server: lower it instead.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import weakref
from collections.abc import Callable
from dataclasses import replace

from libos.fs.descriptors import Key
from libos.fs.host_files import HostFile, HostHandle, HostLink, sync
from libos.fs.host_nodes import KEPT, KEPT_NAMES, LIVELY, HostNode, one_name, open_path
from libos.fs.host_opening import DIRECT, Opening
from libos.fs.host_shared import Tree
from libos.fs.host_watch import KEEP
from libos.fs.node import Attributes, Caller, Changed, Directory, Handle, Node, refusal
from libos.kernel import files

# Names of one directory that the kernel may keep as absent at once.
MOST_ABSENT = 4096
# Nanoseconds after which a watched directory is kept that is not quiet yet: of one that is being filled, each
# change would have to be told.
SETTLED_AGE = 20_000_000
# Flags with which a new file is opened besides those of the app.
NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


class HostDirectory(HostNode, Directory):
    """A directory of the host."""

    def __init__(self, tree: Tree, key: Key, parent: HostNode | None, name: bytes, kind: int) -> None:
        super().__init__(tree, key, parent, name, kind)
        # Where its names lead, as far as the kernel was told while it is watched.
        self._children: dict[bytes, weakref.ref[HostNode]] = {}
        # Names that the kernel was told are absent while it is watched, and when (time.monotonic).
        self.absences: dict[bytes, float] = {}
        # What was listed while the kernel kept these attributes of the directory.
        self._names: list[bytes] = []
        self._names_of: tuple[int, ...] | None = None

    def __del__(self) -> None:
        if self.watch_number:
            self.tree.watches.drop(self.watch_number)
            self.tree.watches.drop(self.below_number)
        super().__del__()

    # --- looking

    async def walk(self, name: bytes) -> Node:
        with self.tree:
            child = self.at_hand()(name)
            if child is not None:
                return child
            self._be_watched()
            return self._node(name)

    def at_hand(self) -> Callable[[bytes], Node | None]:
        self.tree.watches.drain()
        children, old = self._children, time.monotonic() - KEEP

        def child(name: bytes) -> Node | None:
            reference = children.get(name)
            node = reference() if reference is not None else None
            return node if node is not None and node._kept is not None and node.kept_at > old else None

        return child

    def keeps_absent(self, name: bytes) -> float:
        if not self.watch_number:
            return 0.0
        now = time.monotonic()
        if len(self.absences) >= MOST_ABSENT:
            self.absences = {each: since for each, since in self.absences.items() if now - since < KEEP}
            if len(self.absences) >= MOST_ABSENT:
                return 0.0
        self.absences[name] = now
        return KEEP

    def unchanged(self) -> object:
        self.tree.watches.drain()
        return self.changes if self.watch_number and self.is_fresh() else None

    def same_names(self) -> object:
        self.tree.watches.drain()
        if not self.watch_number or not self.is_fresh():
            try:
                with self.tree:
                    self._be_watched()
                    self.show(os.fstat(self.fd()))
            except OSError:
                return None  # whoever lists it is told why
        return self.moves if self.watch_number and self.is_fresh() else None

    def show(self, found: os.stat_result) -> Attributes:
        shown = super().show(found)
        if self.watch_number and self.tree.tells(self.key):
            # Its names are kept, however young it is.
            now = time.time_ns()
            if self.cache is not KEPT and now - self.changed_at(found) > SETTLED_AGE:
                # No file has such marks, so that each event is told: where times are coarse, a further change
                # may leave no mark.
                self.kept, self.kept_at = (now,), time.monotonic()
            self.cache = replace(self.cache, entry=KEEP) if self.kept is None else KEPT_NAMES
        return shown

    def is_watched(self, found: os.stat_result) -> bool:
        """By its own watch, and its parent's for its name."""
        return self.watch_number > 0

    def _be_watched(self) -> None:
        """Watches it once it has been quiet."""
        if self.watch_number or self.cache is LIVELY or not self.tree.tells(self.key):
            return
        if self.tree.watches.add(self):
            self.show(os.fstat(self.fd()))

    def not_watched(self) -> None:
        """Its watch is gone."""
        self.watch_number = self.below_number = 0
        self.moves += 1
        self.cache = LIVELY

    def known_child(self, name: bytes) -> HostNode | None:
        """What the kernel believes a name leads to."""
        reference = self._children.get(name)
        return None if reference is None else reference()

    def _leads(self, name: bytes, node: HostNode) -> None:
        """A name leads to a node, and the kernel will be told so."""
        if self.watch_number:
            before = self._children.get(name)
            if before is not None and before() is not node:
                self.moves += 1
            self._children[name] = weakref.ref(node)
            self.absences.pop(name, None)
            self.changes += 1

    def known_names(self) -> list[bytes]:
        """All names of which the kernel believes something."""
        return list(self._children)

    def forget_child(self, name: bytes) -> None:
        """A name leads elsewhere now, or may."""
        self._children.pop(name, None)
        self.absences.pop(name, None)
        self.changes += 1
        self.kept = None  # and with it the names

    def still_leads(self, name: bytes, child: HostNode) -> bool:
        """Whether a name leads to a file."""
        try:
            found = os.stat(name, dir_fd=self.fd(), follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == child.key

    def watch(self, changed: Changed) -> None:
        self.tree.watches.listen(self, changed)

    def _node(self, name: bytes) -> HostNode:
        """The node of a name. Opened first and looked at then: as the kernel lets go of what it does not
        use, most of what is asked for is new."""
        return self._held(open_path(self.fd(), name), name)

    def _held(self, fd: int, name: bytes) -> HostNode:
        """The node of an O_PATH descriptor found at a name; takes the descriptor."""
        tree = self.tree
        found = os.fstat(fd)
        try:
            tree.admit(fd, found)
        except OSError:
            os.close(fd)
            raise
        key = (found.st_dev, found.st_ino)
        kind = stat.S_IFMT(found.st_mode)
        node = tree.held(key)
        if node is not None and found.st_nlink > 1 and kind != stat.S_IFDIR:
            node = node.unless_parted()
        if node is None or node.kind != kind:
            node = KINDS.get(kind, HostNode)(tree, key, self, name, kind)
            tree.hold(node)
        else:
            node.parent, node.name = self, name
        tree.descriptors.put(key, fd)
        node.looked_at(found)
        self._leads(name, node)
        return node

    async def readdir(self) -> list[bytes]:
        self.tree.watches.drain()
        if self._names_of is not None and self._names_of is self.kept and self.is_fresh():
            return self._names
        with self.tree:
            self._be_watched()
            # Of the same moment, or older: an event that comes between makes both void.
            self._names_of, self._names = self.kept, self.tree.opening.names(self.fd())
            return self._names

    # --- making

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        with self.tree as tree:
            tree.require_writable()
            tree.require_room()
            self.forget_child(name)
            access = flags & (os.O_ACCMODE | os.O_APPEND | os.O_SYNC | os.O_DSYNC)
            fd = tree.opening.create(self.fd(), one_name(name), NEW | access, mode & 0o777)
            os.fchmod(fd, mode & 0o777)
            node = self._held(os.open(f"/proc/self/fd/{fd}", os.O_PATH | os.O_CLOEXEC), name)
            assert isinstance(node, HostFile)
            return node, HostHandle(node, fd, flags)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        with self.tree as tree:
            tree.require_writable()
            self.forget_child(name)
            tree.opening.mkdir(self.fd(), one_name(name), mode & 0o777)
            node = self._node(name)
            node.found = None
            os.chmod(node.proc_path(), mode & 0o1777 | os.stat(node.proc_path()).st_mode & stat.S_ISGID)
            return node

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        with self.tree as tree:
            tree.require_writable()
            self.forget_child(name)
            tree.opening.symlink(target, self.fd(), one_name(name))
            return self._node(name)

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        with self.tree as tree:
            tree.require_writable()
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK):
                raise refusal(errno.EPERM, name)
            self.forget_child(name)
            tree.opening.mknod(self.fd(), one_name(name), mode & ~0o7000)
            node = self._node(name)
            node.found = None
            os.chmod(node.proc_path(), mode & 0o777)
            return node

    async def link(self, name: bytes, node: Node) -> None:
        if not isinstance(node, HostNode) or node.tree is not self.tree:
            raise refusal(errno.EXDEV, name)
        with self.tree as tree:
            tree.require_writable()
            if node.kind == stat.S_IFDIR or os.fstat(node.fd()).st_uid != tree.owner[0]:
                raise refusal(errno.EPERM, name)
            self.forget_child(name)
            node.kept = None
            tree.opening.link(node.fd(), self.fd(), one_name(name))
            self._leads(name, node)

    # --- removing and moving

    async def remove(self, name: bytes, *, directory: bool) -> None:
        with self.tree as tree:
            tree.require_writable()
            self._keep(name)
            tree.opening.remove(self.fd(), name, directory=directory)

    def _keep(self, name: bytes) -> HostNode | None:
        """The node that somebody holds of a name, its descriptor kept: the name will not lead to it any
        more."""
        try:
            found = os.stat(one_name(name), dir_fd=self.fd(), follow_symlinks=False)
        except FileNotFoundError:
            self.forget_child(name)
            return None
        node = self.tree.held((found.st_dev, found.st_ino))
        self.forget_child(name)
        if node is not None:
            node.kept = None
            node.fd()
            self.tree.descriptors.pin(node.key)
        return node

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        if flags & ~(files.RENAME_NOREPLACE | files.RENAME_EXCHANGE):
            raise refusal(errno.EINVAL)
        if not isinstance(parent, HostDirectory) or parent.tree is not self.tree:
            raise refusal(errno.EXDEV, name)
        with self.tree as tree:
            tree.require_writable()
            moved, replaced = self._keep(name), parent._keep(new_name)
            tree.opening.rename(self.fd(), name, parent.fd(), new_name, flags)
            if moved is not None:
                moved.parent, moved.name = parent, new_name
                parent._leads(new_name, moved)
            if replaced is not None and flags & files.RENAME_EXCHANGE:
                replaced.parent, replaced.name = self, name
                self._leads(name, replaced)

    async def fsync(self, *, data_only: bool) -> None:
        with self.tree as tree:
            fd = tree.opening.open(self.fd(), os.O_RDONLY | os.O_DIRECTORY)
        try:
            await sync(fd, data_only)
        finally:
            os.close(fd)


KINDS: dict[int, type[HostNode]] = {
    stat.S_IFDIR: HostDirectory,
    stat.S_IFREG: HostFile,
    stat.S_IFLNK: HostLink,
}


class HostTree(HostDirectory):
    """The root of a served host tree; owns its descriptors until `close`."""

    def __init__(
        self,
        root_fd: int,
        *,
        writable: bool,
        owner: tuple[int, int] | None = None,
        capacity: int | None = None,
        below_fd: int = -1,
        opening: Opening = DIRECT,
    ) -> None:
        """`root_fd`: any descriptor of the directory; it is duplicated. `writable`: else every change is
        EROFS. `owner`: the host's (uid, gid) that is the app's in the world (None: this process's).
        `capacity`: O_PATH descriptors kept open (None: a sixteenth of what the process may have).
        `below_fd`: of an overlay, any descriptor of the directory under its changes, duplicated too; without
        it nothing is kept of one. `opening`: who opens its files, until the tree is closed.
        NotADirectoryError if it is none."""
        owner = (os.geteuid(), os.getegid()) if owner is None else owner
        own_fd = os.open(f"/proc/self/fd/{root_fd}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = os.fstat(own_fd)
        key = (found.st_dev, found.st_ino)
        tree = Tree(writable, owner, capacity, os.dup(below_fd) if below_fd >= 0 else -1, opening)
        super().__init__(tree, key, None, b"", stat.S_IFDIR)
        try:
            self.tree.admit(own_fd, found)
        except OSError:
            os.close(own_fd)
            tree.close_below()
            raise
        self.tree.hold(self)
        self.tree.descriptors.put(key, own_fd)
        self.tree.descriptors.pin(key)

    def changed_at(self, found: os.stat_result) -> int:
        """The top of an overlay's changes was made with it, and shows the time of the host's directory."""
        return found.st_mtime_ns if self.tree.below_fd >= 0 else super().changed_at(found)

    def close(self) -> None:
        """Closes all descriptors but those of open handles; the nodes answer ESTALE from now on."""
        self.tree.watches.close()
        self.tree.descriptors.close()
        self.tree.close_below()
