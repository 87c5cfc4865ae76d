"""Mount calls, each for real in a mount namespace of its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from private import run

from libos.kernel import mounts


def test_mount_and_unmount(tmp_path: Path) -> None:
    program = """
        at = sys.argv[1]
        mounts.mount("none", at, "tmpfs", mounts.MS_NOSUID, "size=64k")
        print(os.path.ismount(at), os.statvfs(at).f_blocks * os.statvfs(at).f_frsize)
        mounts.unmount(at)
        print(os.path.ismount(at))
    """
    assert run(program, tmp_path) == "True 65536\nFalse\n"


def test_a_failure_says_what_was_being_done(tmp_path: Path) -> None:
    program = """
        try:
            mounts.mount("none", sys.argv[1] + "/absent", "tmpfs")
        except OSError as error:
            print(errno.errorcode[error.errno], error.strerror)
    """
    place = tmp_path / "absent"
    assert run(program, tmp_path) == f"ENOENT mount tmpfs none on {place}: No such file or directory\n"


def test_pivot_root_leaves_nothing_of_the_old_root(tmp_path: Path) -> None:
    program = """
        at = sys.argv[1]
        mounts.mount("none", at, "tmpfs")
        open(at + "/only", "w").close()
        mounts.pivot_root_here(at)
        print(os.listdir("/"), os.getcwd())
    """
    assert run(program, tmp_path) == "['only'] /\n"


def test_pivot_root_can_keep_the_old_root(tmp_path: Path) -> None:
    program = """
        at = sys.argv[1]
        mounts.mount("none", at, "tmpfs")
        os.mkdir(at + "/old")
        mounts.pivot_root(at, at + "/old")
        print(os.path.isdir("/old" + at))
    """
    assert run(program, tmp_path) == "True\n"


def test_a_copied_tree_is_attached_elsewhere_read_only(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("content")
    (tmp_path / "to").mkdir()
    program = """
        folder = sys.argv[1]
        tree = mounts.clone_tree(mounts.AT_FDCWD, folder + "/from")
        mounts.set_tree(tree, set_flags=mounts.MOUNT_ATTR_RDONLY)
        point = os.open(folder + "/to", os.O_PATH)
        mounts.attach_tree(tree, point, "/to")
        print(open(folder + "/to/file").read())
        try:
            open(folder + "/to/file", "w")
        except OSError as error:
            print(errno.errorcode[error.errno])
        open(folder + "/from/file", "a").close()
    """
    assert run(program, tmp_path) == "content\nEROFS\n"


def test_a_new_filesystem_takes_its_options(tmp_path: Path) -> None:
    program = """
        tree = mounts.new_filesystem("tmpfs", {"mode": "701", "size": "8192"}, mounts.MOUNT_ATTR_NOEXEC)
        mounts.attach_tree(tree, os.open(sys.argv[1], os.O_PATH), "there")
        found = os.statvfs(sys.argv[1])
        print(oct(os.stat(sys.argv[1]).st_mode & 0o777), found.f_blocks * found.f_frsize)
        print(bool(found.f_flag & os.ST_NOEXEC))
        try:
            mounts.new_filesystem("tmpfs", {"no-such-option": None})
        except OSError as error:
            print(error.strerror)
    """
    lines = run(program, tmp_path).splitlines()
    assert lines[:2] == ["0o701 8192", "True"]
    assert lines[2].startswith("set no-such-option=None of a tmpfs: ")


def test_open_beneath_never_leaves_its_directory(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").touch()
    (tmp_path / "outside").touch()
    (tmp_path / "inner" / "up").symlink_to("../outside")
    (tmp_path / "inner" / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "inner" / "within").symlink_to("file")
    directory_fd = os.open(tmp_path / "inner", os.O_PATH)
    try:
        for name in ("file", "within"):
            fd = mounts.open_beneath(directory_fd, name, os.O_RDONLY, mounts.RESOLVE_BENEATH)
            assert not os.get_inheritable(fd)
            os.close(fd)
        for name in ("../outside", "up", "absolute", "/etc/passwd"):
            with pytest.raises(OSError, match="open ") as caught:
                mounts.open_beneath(directory_fd, name, os.O_RDONLY, mounts.RESOLVE_BENEATH)
            assert caught.value.errno == errno.EXDEV
        with pytest.raises(OSError, match="open within") as caught:
            mounts.open_beneath(directory_fd, "within", os.O_RDONLY, mounts.RESOLVE_NO_SYMLINKS)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(directory_fd)
