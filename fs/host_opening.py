"""How files of a host tree are opened, made, removed and moved: what Landlock judges by where a file stands.

Rules:
- All of it goes by O_PATH descriptors and one name at a time; nothing here is given a path.
- Here the calls are made by this process. One that is behind Landlock has another do them for trees that its
  rules do not cover (libos.worlds.outside): the same methods, the same errors.
- Attributes, extended attributes and links are read and set elsewhere: Landlock does not judge them.
"""

from __future__ import annotations

import os

from libos.kernel import files, mounts

# One name, and nothing that leads elsewhere: openat2(2).
RESOLVE = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_MAGICLINKS | mounts.RESOLVE_NO_SYMLINKS


class Opening:
    """The calls of one tree, by this process. Each raises OSError as its manual page says; descriptors that
    come back are the caller's, and close-on-exec."""

    def open(self, file_fd: int, flags: int) -> int:
        """open(2) of what an O_PATH descriptor leads to."""
        return os.open(f"/proc/self/fd/{file_fd}", flags | os.O_CLOEXEC)

    def names(self, directory_fd: int) -> list[bytes]:
        """What is in a directory."""
        return os.listdir(f"/proc/self/fd/{directory_fd}".encode())

    def create(self, directory_fd: int, name: bytes, flags: int, mode: int) -> int:
        """open(2) of a new file."""
        return mounts.open_beneath(directory_fd, name, flags, RESOLVE, mode)

    def mkdir(self, directory_fd: int, name: bytes, mode: int) -> None:
        """mkdirat(2)."""
        os.mkdir(name, mode, dir_fd=directory_fd)

    def symlink(self, target: bytes, directory_fd: int, name: bytes) -> None:
        """symlinkat(2)."""
        os.symlink(target, name, dir_fd=directory_fd)

    def mknod(self, directory_fd: int, name: bytes, mode: int) -> None:
        """mknodat(2), of what is no device."""
        os.mknod(name, mode, dir_fd=directory_fd)

    def link(self, file_fd: int, directory_fd: int, name: bytes) -> None:
        """linkat(2), of what an O_PATH descriptor leads to."""
        os.link(f"/proc/self/fd/{file_fd}", name, dst_dir_fd=directory_fd, follow_symlinks=True)

    def remove(self, directory_fd: int, name: bytes, *, directory: bool) -> None:
        """unlinkat(2)."""
        if directory:
            os.rmdir(name, dir_fd=directory_fd)
        else:
            os.unlink(name, dir_fd=directory_fd)

    def rename(self, old_fd: int, name: bytes, new_fd: int, new_name: bytes, flags: int) -> None:
        """renameat2(2)."""
        files.rename(old_fd, name, new_fd, new_name, flags)

    def close(self) -> None:
        """The tree is not used any more."""


DIRECT = Opening()
