"""What the keeper's outside half opens for a supervisor behind Landlock, and what it refuses."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

from libos.keeper import channel
from libos.keeper.looking import Looks
from libos.keeper.opening import Openings
from libos.kernel import pending, procfs


class Asked:
    """Openings, asked as a supervisor does: by O_PATH descriptors."""

    def __init__(self, folder: Path) -> None:
        self.openings = Openings()
        self.folder = folder
        self._trees = 0

    def tree(self, path: Path, *, write: bool, only: str = "") -> int:
        self._trees += 1
        owner = os.geteuid(), os.getegid()
        message = {"do": "tree", "tree": self._trees, "write": write, "owner": owner, "only": only}
        assert self.ask(message, path) == 0
        return self._trees

    def ask(self, message: dict[str, Any], *paths: Path) -> int:
        """The errno that is answered, 0 for none; a descriptor that comes is closed."""
        return self.ask_fds(message, [os.open(path, os.O_PATH | os.O_NOFOLLOW) for path in paths])

    def ask_fds(self, message: dict[str, Any], fds: list[int]) -> int:
        answer, made = self.openings.answer(message, fds)
        for fd in (*fds, *made):
            os.close(fd)
        return int(answer.get("errno", 0))

    def open(self, tree: int, path: Path, flags: int = os.O_RDONLY) -> int:
        return self.ask({"do": "open", "tree": tree, "flags": flags}, path)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    (tmp_path / "granted" / "below").mkdir(parents=True)
    (tmp_path / "granted" / "below" / "file").write_text("granted")
    (tmp_path / "granted" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "granted-too").mkdir()
    made = Asked(tmp_path)
    yield made
    for number in range(1, made._trees + 1):
        made.ask({"do": "close", "tree": number})


def test_a_read_only_tree_is_read_and_not_changed(asked: Asked) -> None:
    top = asked.folder / "granted"
    tree = asked.tree(top, write=False)
    assert asked.open(tree, top / "below" / "file") == 0
    assert asked.open(tree, top, os.O_RDONLY | os.O_DIRECTORY) == 0
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
        assert asked.open(tree, top / "below" / "file", flags) == errno.EROFS
    named = {"tree": tree, "name": "new", "mode": 0o600, "flags": os.O_WRONLY, "target": "x", "new": "newer"}
    for do in ("create", "mkdir", "mknod", "symlink"):
        assert asked.ask({"do": do, **named}, top) == errno.EROFS, do
    assert asked.ask({"do": "remove", "directory": False, **named}, top / "below") == errno.EROFS
    assert asked.ask({"do": "rename", **named}, top, top) == errno.EROFS
    assert asked.ask({"do": "link", **named}, top / "below" / "file", top) == errno.EROFS
    assert sorted(os.listdir(top)) == ["below", "link"]


def test_a_tree_that_may_be_written_is_changed_by_one_name_at_a_time(asked: Asked) -> None:
    top = asked.folder / "granted"
    tree = asked.tree(top, write=True)
    new = {"tree": tree, "mode": 0o700, "flags": os.O_WRONLY}
    assert asked.ask({"do": "create", "name": "\xff", **new}, top) == 0  # a name's bytes, whatever they are
    assert os.fsencode(top) + b"/\xff" in [os.fsencode(each) for each in top.iterdir()]
    assert asked.ask({"do": "mkdir", "name": "d", **new}, top) == 0
    assert (
        asked.ask({"do": "rename", "tree": tree, "name": "\xff", "new": "f", "flags": 0}, top, top / "d") == 0
    )
    assert asked.ask({"do": "link", "tree": tree, "name": "g"}, top / "d" / "f", top) == 0
    assert asked.ask({"do": "remove", "tree": tree, "name": "g", "directory": False}, top) == 0
    for name in ("..", ".", "", "../secret", "below/new", "a\0b"):
        assert asked.ask({"do": "create", "name": name, **new}, top) == errno.EINVAL, name
    device = {"do": "mknod", "tree": tree, "name": "null", "mode": stat.S_IFCHR | 0o666}
    assert asked.ask(device, top) == errno.EPERM
    assert sorted(os.listdir(top)) == ["below", "d", "link"]


def test_what_stands_elsewhere_is_not_opened_whatever_descriptor_comes(asked: Asked) -> None:
    top = asked.folder / "granted"
    tree = asked.tree(top, write=True)
    assert asked.open(tree, asked.folder / "secret") == errno.EXDEV
    assert asked.open(tree, asked.folder / "granted-too", os.O_DIRECTORY) == errno.EXDEV  # its name begins so
    assert asked.open(tree, top / "link") == errno.EACCES  # the link itself, and what it leads to never
    new = {"do": "create", "tree": tree, "name": "new", "mode": 0o600, "flags": os.O_WRONLY}
    assert asked.ask(new, asked.folder) == errno.EXDEV
    assert (
        asked.ask({"do": "rename", "tree": tree, "name": "secret", "new": "s", "flags": 0}, asked.folder, top)
        == errno.EXDEV
    )
    link = {"do": "link", "tree": tree, "name": "hard"}
    assert asked.ask(link, asked.folder / "secret", top) == errno.EXDEV
    os.mkfifo(top / "fifo")
    assert asked.open(tree, top / "fifo") == errno.EACCES
    assert not (top / "hard").exists()


def test_what_was_moved_out_is_outside_and_what_was_removed_is_still_its_holders(asked: Asked) -> None:
    top = asked.folder / "granted"
    tree = asked.tree(top, write=False)
    opening = {"do": "open", "tree": tree, "flags": os.O_RDONLY}
    moved_fd, removed_fd = (os.open(top / "below" / name, os.O_PATH) for name in (".", "file"))
    (top / "below" / "file").unlink()
    assert asked.ask_fds(opening, [removed_fd]) == 0
    (top / "below").rename(asked.folder / "below")
    assert asked.ask_fds(opening, [moved_fd]) == errno.EXDEV


def test_one_file_of_a_directory_opens_that_file_alone(asked: Asked) -> None:
    below = asked.folder / "granted" / "below"
    (below / "other").write_text("")
    tree = asked.tree(below, write=True, only="file")
    assert asked.open(tree, below / "file", os.O_RDWR) == 0
    assert asked.open(tree, below / "other") == errno.EXDEV
    assert asked.open(tree, below) == errno.EXDEV
    assert asked.ask({"do": "mkdir", "tree": tree, "name": "file", "mode": 0o700}, below) == errno.EXDEV


def test_files_are_opened_by_path_where_they_were_named_first(asked: Asked) -> None:
    secret = str(asked.folder / "secret")
    written = asked.folder / "granted" / "new"
    assert asked.ask({"do": "file", "path": secret, "flags": os.O_RDONLY}) == errno.EACCES
    asked.openings.name_files([secret, str(asked.folder)], [str(written)])
    asked.openings.name_files([], [secret])
    assert asked.ask({"do": "file", "path": secret, "flags": os.O_RDONLY}) == 0
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_RDONLY | os.O_CREAT):
        assert asked.ask({"do": "file", "path": secret, "flags": flags}) == errno.EACCES
    assert asked.ask({"do": "file", "path": str(asked.folder), "flags": 0}) == errno.EACCES  # no file
    assert asked.ask({"do": "file", "path": str(written), "flags": os.O_WRONLY | os.O_CREAT}) == 0
    assert written.exists()


def test_of_the_files_of_sockets_only_its_own_are_removed(asked: Asked) -> None:
    path, other = str(asked.folder / "socket"), str(asked.folder / "secret")
    assert asked.ask({"do": "unbind", "path": other}) == errno.EINVAL
    assert asked.ask({"do": "bind", "path": path}) == 0
    assert asked.ask({"do": "bind", "path": path}) == errno.EADDRINUSE
    assert asked.ask({"do": "unbind", "path": path}) == 0
    assert asked.ask({"do": "bind", "path": path}) == 0
    os.unlink(path)
    Path(path).write_text("somebody's")
    assert asked.ask({"do": "unbind", "path": path}) == 0
    assert Path(path).read_text() == "somebody's"


@pytest.mark.system
def test_what_cannot_be_sent_or_comes_late_fails_alone(as_user: Account) -> None:
    if as_user.uid == 0:
        pytest.skip("the kernel counts no descriptors on their way against root")
    done = as_user.run(as_user.python(str(Path(__file__).parent / "in_flight.py")))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "first": "done",
        "an answer that cannot go": "EMFILE",
        "after it": "done",
        "a request that cannot go": "EMFILE",
        "after that": "done",
        "none answers in time": "EIO",
        "nor yet": "EIO",
        "after the late answer": "done",
    }


@pytest.mark.parametrize(
    "message",
    [
        {"do": "?"},
        {"do": "open"},
        {"do": "open", "tree": 9, "flags": 0},
        {"do": "tree", "tree": "a"},
        {"do": "bind", "path": 3},
        {"do": ["open"]},
    ],
    ids=str,
)
def test_garbage_is_einval(asked: Asked, message: dict[str, Any]) -> None:
    assert asked.ask(message) == errno.EINVAL


def test_a_look_at_processes_is_what_this_process_sees_itself() -> None:
    looks = Looks()
    with socket.socket() as held:
        inode = os.fstat(held.fileno()).st_ino
        found = _looked(looks, {"look": "sockets", "init": os.getppid()})["sockets"]
        assert [os.getpid(), inode] in found
        assert (os.getpid(), inode) in procfs.open_sockets(os.getppid())
    seen = _looked(looks, {"look": "stuck", "openers": [os.getpid()]})
    assert seen["waiting"] == sorted(pending.look([os.getpid()]).waiting) == []
    assert isinstance(seen["stuck"], list)
    for pid in looks._children:
        os.waitpid(pid, 0)


def _looked(looks: Looks, message: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = channel.pair()
    with ours:
        with theirs:
            looks.begin(message, [theirs.fileno()])
        received = channel.receive(ours)
    assert received is not None
    return received[0]
