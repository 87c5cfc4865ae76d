"""What all nodes of a host tree share: whose files they are, their descriptors, what is served of the host.

See libos.fs.host for the rules.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from types import TracebackType
from typing import TYPE_CHECKING

from libos.fs.descriptors import TOTAL, Descriptors, Key, default_capacity
from libos.fs.host_opening import DIRECT, Opening
from libos.fs.host_watch import FILESYSTEMS, OVERLAY, Watches
from libos.fs.node import APP, NOBODY, Attributes, refusal
from libos.kernel import files

if TYPE_CHECKING:
    from libos.fs.host_nodes import HostNode

# Set-user-id and set-group-id: a file that an app made must never carry a host user's rights.
PRIVILEGE = stat.S_ISUID | stat.S_ISGID
# File systems that are the kernel's own voice: what they show and let be changed depends on who opens them,
# and that would be the server. proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, bpf, configfs,
# efivarfs, pstore, selinuxfs, binfmt_misc, fusectl, nsfs: linux/magic.h, and fs/*/ of Linux.
SPECIAL = frozenset(
    (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x64626720, 0x74726163, 0x73636673, 0xCAFE4A11)
    + (0x62656570, 0xDE5E81E4, 0x6165676C, 0xF97CFF8C, 0x42494E4D, 0x65735543, 0x6E736673)
)


class Tree:
    """What all nodes of one host tree share. `owner` is the host's (uid, gid) that shows as the app's;
    `below_fd` the directory of the host under a tree that is an overlay, owned from now on, or -1."""

    def __init__(
        self,
        writable: bool,
        owner: tuple[int, int],
        capacity: int | None,
        below_fd: int = -1,
        opening: Opening = DIRECT,
    ) -> None:
        self.writable = writable
        self.below_fd = below_fd
        self.opening = opening
        self.owner = owner
        self.watches = Watches()
        self.descriptors = Descriptors(default_capacity() if capacity is None else capacity)
        self.most_open = default_capacity() * 4
        self.open_files = 0
        # File systems (st_dev) that were looked at and are served.
        self._admitted: set[int] = set()
        # Those of them whose changes inotify tells, and those where a change parts a file from its other
        # names.
        self._telling: set[int] = set()
        self._parting: set[int] = set()
        # Operations so far: what was seen in one is not believed in the next.
        self.turns = 0
        # Entries are taken out by __del__: half the price of a WeakValueDictionary.
        self._nodes: dict[Key, weakref.ref[HostNode]] = {}
        # Root takes the owner's identity for each operation, so that it can do no more than the owner may.
        self._switch = os.geteuid() == 0 and owner[0] != 0

    def __enter__(self) -> Tree:
        """The identity of the owner, for calls that do not wait."""
        self.turns += 1
        self.descriptors.trim()
        if self._switch:
            files.set_file_owner(*self.owner)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._switch:
            files.set_file_owner(0, os.getegid())

    def require_room(self) -> None:
        """ENFILE when too many files are open here, or too few are left for other trees."""
        if self.open_files >= self.most_open or not TOTAL.has_room(self.open_files):
            raise refusal(errno.ENFILE)

    def admit(self, fd: int, found: os.stat_result) -> None:
        """EACCES for what stands on a file system that is not served."""
        if found.st_dev not in self._admitted:
            kind = files.filesystem_type(fd)
            if kind in SPECIAL:
                raise refusal(errno.EACCES)
            self._admitted.add(found.st_dev)
            if kind == OVERLAY:
                self._parting.add(found.st_dev)
            if kind in FILESYSTEMS or (kind == OVERLAY and self._tells_below()):
                self._telling.add(found.st_dev)

    def _tells_below(self) -> bool:
        """Whether inotify tells what the host changes below an overlay."""
        return self.below_fd >= 0 and files.filesystem_type(self.below_fd) in FILESYSTEMS

    def tells(self, key: Key) -> bool:
        """Whether inotify tells all changes of the file system of an inode."""
        return key[0] in self._telling

    def close_below(self) -> None:
        """Closes `below_fd`."""
        if self.below_fd >= 0:
            os.close(self.below_fd)
            self.below_fd = -1

    def parts(self, key: Key) -> bool:
        """Whether a change parts an inode from its other names. Kernel: filesystems/overlayfs.rst."""
        return key[0] in self._parting

    def held(self, key: Key) -> HostNode | None:
        """The node of a file that somebody holds."""
        reference = self._nodes.get(key)
        return None if reference is None else reference()

    def hold(self, node: HostNode) -> None:
        """Makes a node the one of its file."""
        self._nodes[node.key] = weakref.ref(node)

    def let_go(self, node: HostNode) -> bool:
        """Takes a node out; False where another one has become its file's."""
        if self.held(node.key) not in (None, node):
            return False
        self._nodes.pop(node.key, None)
        return True

    def require_writable(self) -> None:
        """EROFS for a tree that is read-only."""
        if not self.writable:
            raise refusal(errno.EROFS)

    def attributes(self, found: os.stat_result) -> Attributes:
        """stat's result in the world's numbering."""
        mode = found.st_mode
        return Attributes(
            mode & ~PRIVILEGE if stat.S_ISREG(mode) else mode,
            found.st_size,
            found.st_nlink,
            APP[0] if found.st_uid == self.owner[0] else NOBODY[0],
            APP[1] if found.st_gid == self.owner[1] else NOBODY[1],
            found.st_rdev,
            found.st_atime_ns,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_blocks,
        )
