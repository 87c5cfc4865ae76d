"""Attacks on what is granted read-only, and on what is written to a copy: nothing of it is seen outside."""

from __future__ import annotations

import pytest
from attack import Attack, answers
from attacking import Field, Outcomes, judge
from booty import scene, state

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

REFUSED = answers("EROFS EACCES EPERM EXDEV EBADF ENOTTY ENOTSUP EFAULT")


def write(name: str, what: str, *absent: str) -> Attack:
    """A row of the table."""
    wall = "a read-only mount, or a served tree that refuses"
    return Attack(name, what, "outside", wall, REFUSED, frozenset(absent))


WRITES = [
    write("write", "open(2) to write"),
    write("write_and_read", "open(2) to read and write"),
    write("append", "O_APPEND"),
    write("truncate_while_opening_to_read", "O_RDONLY | O_TRUNC"),
    write("truncate_by_path", "truncate(2)"),
    write("truncate_by_descriptor", "ftruncate(2)"),
    write("write_by_a_path_descriptor", "O_PATH, opened anew by /proc/self/fd"),
    write("write_by_a_reading_descriptor", "a descriptor to read, opened anew by /proc/self/fd"),
    write("write_by_the_working_directory", "/proc/self/cwd"),
    write("write_by_the_root_of_proc", "/proc/self/root"),
    write("write_through_a_mapping", "mmap(2), MAP_SHARED"),
    write("turn_a_mapping_writable", "mprotect(2)"),
    write("allocate", "posix_fallocate(3)"),
    write("punch_a_hole", "fallocate(2), FALLOC_FL_PUNCH_HOLE", "ENOTSUP"),
    write("copy_into", "copy_file_range(2)", "EXDEV"),
    write("send_into", "sendfile(2)"),
    write("splice_into", "splice(2)"),
    write("change_the_mode", "chmod(2)"),
    write("change_the_mode_by_descriptor", "fchmod(2)"),
    write("change_the_owner", "chown(2)"),
    write("set_the_times", "utimensat(2)"),
    write("touch", "utimensat(2) without times"),
    write("set_an_attribute", "setxattr(2)", "ENOTSUP"),
    write("set_an_attribute_by_descriptor", "fsetxattr(2)", "ENOTSUP"),
    write("set_an_access_list", "setxattr(2) of an access list", "ENOTSUP"),
    write("set_the_inodes_flags", "FS_IOC_SETFLAGS", "ENOTTY", "ENOTSUP"),
    write("link_it_elsewhere", "link(2) to a place that may be written"),
    write("link_it_beside", "link(2) beside it"),
    write("remove", "unlink(2)"),
    write("rename_away", "rename(2)"),
    write("rename_out", "rename(2) to a place that may be written"),
    write("rename_over", "rename(2) over it"),
    write("exchange", "renameat2(2), RENAME_EXCHANGE"),
    write("new_file", "open(2), O_CREAT"),
    write("new_unnamed_file", "open(2), O_TMPFILE", "ENOTSUP"),
    write("new_directory", "mkdir(2)"),
    write("new_link", "symlink(2)"),
    write("new_fifo", "mkfifo(3)"),
    write("new_socket", "mknod(2) of a socket"),
    write("take_a_lease", "fcntl(2), F_SETLEASE", "EAGAIN"),
    write("take_a_lease_by_reading", "the same of a descriptor to read", "EAGAIN"),
]
ATTACKS = {"test_a_write_to_what_is_read_only": WRITES, "test_a_write_to_a_copy": []}
# What a copy-on-write mount refuses too, or what a kernel's overlay cannot do.
NOT_IN_A_COPY = REFUSED | {"EINVAL", "EAGAIN", "EIO"}


def in_world(ground: Field, place: str) -> tuple[Outcomes, bool]:
    """All attacks on a place of the scene, and whether it is as it was outside."""
    with scene(ground.account) as made:
        before = state(made.folder / place)
        setting = {"place": f"/{place}", "writable": "/work"}
        held = ground.in_world("writes", setting, key=f"writes {place}", manifest=made.manifest())
        return held, state(made.folder / place) == before


def live(ground: Field) -> Outcomes:
    """All of them where they work."""
    with scene(ground.account) as made:
        setting = {"place": str(made.folder / "shown"), "writable": str(made.folder / "work")}
        return ground.outside("writes", setting)


@pytest.mark.parametrize("place", ["shown", "hidden"])
@pytest.mark.parametrize("attack", WRITES, ids=lambda attack: attack.name)
def test_a_write_to_what_is_read_only(attack: Attack, place: str, ground: Field) -> None:
    held, unchanged = ground.once(f"in {place}", lambda: in_world(ground, place))
    worked = ground.once("writes", lambda: live(ground))
    judge(attack, worked[attack.name], held[attack.name], ground.account.uid)
    assert unchanged


def test_a_write_to_a_copy(ground: Field) -> None:
    """All of the same, where it goes through: nothing of it is seen outside."""
    held, unchanged = in_world(ground, "copied")
    refused = {name: outcome for name, outcome in held.items() if not outcome.startswith("got")}
    assert unchanged
    assert set(refused.values()) <= NOT_IN_A_COPY, refused
    assert len(refused) < 8, refused
