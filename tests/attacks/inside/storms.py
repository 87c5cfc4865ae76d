"""Attacks on the file server: names that are none, depths, storms of requests, of signals, of forgets.

SETTING: "place", a directory; "many", how often the storms do it. Each gives what the kernel and the server
answered, which a directory of the host must answer too.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from trying import SETTING, libc, main, named

_PLACE = os.fsencode(str(SETTING.get("place", "/nowhere")))
_MANY = int(SETTING.get("many", 600))
_AT_FDCWD = -100

_NAMES = [
    *(
        b"",
        b".",
        b"..",
        b"/",
        b"//",
        b"...",
        b"a/",
        b"a/.",
        b"a/..",
        b"a\n",
        b"\x1b[2J",
        b"\xff\xfe",
        b" ",
        b"\\",
        b"*",
    ),
    *(
        b"x" * 255,
        b"x" * 256,
        b"\xc3\xa9" * 127,
        b"\xc3\xa9" * 128,
        b"x" * 4096,
        b"y\0z",
        b"-rf",
        b"~",
        b"con",
    ),
    *(b"/".join([b"."] * 2000), b"/".join([b".."] * 1300), b"d/" * 2100, b"\xed\xa0\x80", "\u202e".encode()),
]


def _answer(action: Callable[[], object]) -> str:
    try:
        action()
        return "0"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def _raw(function: str, name: bytes, *more: int) -> str:
    """One call of libc, which looks at no name; a descriptor that it gives is closed."""
    result = getattr(libc, function)(_AT_FDCWD, _PLACE + b"/" + name, *more)
    if result < 0:
        import ctypes

        return errno.errorcode[ctypes.get_errno()]
    if function == "openat":
        os.close(result)
    return "0"


def malformed_names() -> object:
    """Made, opened, made as directories, removed by raw calls."""
    found = []
    for name in _NAMES:
        opened = _raw("openat", name, os.O_CREAT | os.O_RDWR, 0o600)
        found.append((opened, _raw("openat", name, os.O_RDONLY), _raw("mkdirat", name, 0o700)))
        if name.strip(b"/") and b".." not in name:
            found.append((_raw("unlinkat", name, 0), _raw("unlinkat", name, 0x200), ""))
    return found


def renames_of_malformed_names() -> object:
    found = []
    for name in _NAMES:
        if b".." not in name:
            os.close(os.open(_PLACE + b"/plain", os.O_CREAT | os.O_WRONLY))
            found.append(libc.renameat(_AT_FDCWD, _PLACE + b"/plain", _AT_FDCWD, _PLACE + b"/" + name))
            _raw("unlinkat", name, 0)
    return found


def _link(length: int) -> None:
    os.symlink(b"x" * length, _PLACE + b"/long")


def links_of_any_length() -> object:
    found = []
    for length in (1, 4095, 4096, 5000):
        found.append(_answer(partial(_link, length)))
        found.append(_answer(lambda: os.stat(_PLACE + b"/long")))
        with suppress(OSError):
            os.unlink(_PLACE + b"/long")
    os.symlink(b"loop", _PLACE + b"/loop")
    return found, _answer(lambda: os.stat(_PLACE + b"/loop/x/y"))


def attributes_of_any_name() -> object:
    path = _PLACE + b"/bare"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    names = [b"user." + b"x" * length for length in (1, 249, 250, 251, 255, 4096)]
    return [_answer(partial(os.setxattr, path, name, b"x" * 100)) for name in names]


def a_way_of_many_directories() -> object:
    os.chdir(_PLACE)
    for _ in range(150):
        os.mkdir("d")
        os.chdir("d")
    seen = _answer(lambda: os.open("file", os.O_CREAT | os.O_WRONLY))
    for _ in range(150):
        os.chdir("..")
    return seen, os.path.samestat(os.stat("."), os.stat(_PLACE))


def opened_and_closed() -> object:
    for _ in range(_MANY):
        os.close(os.open(_PLACE + b"/file", os.O_RDONLY))
    return "all"


def files_made_and_forgotten() -> object:
    """Each is looked up, opened and removed: the kernel forgets as many as it has met."""
    for number in range(_MANY // 3):
        path = _PLACE + b"/f%d" % number
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        os.stat(path)
        os.unlink(path)
    return sorted(name for name in os.listdir(_PLACE) if name.startswith(b"f") and name != b"file")


def looked_up_and_not_there() -> object:
    for number in range(_MANY):
        with suppress(FileNotFoundError):
            os.stat(_PLACE + b"/none%d" % number)
    return "all"


def requests_interrupted_by_signals() -> object:
    """A timer that fires all the time: every request is interrupted, begun again, or goes through."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    with open(_PLACE + b"/interrupted", "wb") as file:
        for _ in range(80):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    signal.setitimer(signal.ITIMER_REAL, 0, 0)
    return os.stat(_PLACE + b"/interrupted").st_size


def children_killed_amid_requests() -> object:
    """Each is killed while it writes; what it had begun ends, and the file is whole pages."""
    path = _PLACE + b"/killed"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    for _ in range(30):
        read_fd, write_fd = os.pipe()
        child = os.fork()
        if child == 0:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            os.write(write_fd, b"x")
            while True:
                os.write(fd, b"x" * 4096)
        os.read(read_fd, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read_fd)
        os.close(write_fd)
        os.truncate(path, 0)
    return "all have ended"


def as_many_open_as_may_be() -> object:
    """To the process's own limit, and what happens beyond."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = []
    try:
        while True:
            held.append(os.open(_PLACE + b"/file", os.O_RDONLY))
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def names_changed_amid_a_walk() -> object:
    """A tree is renamed to and fro while others walk in and out of it."""
    for number in range(2):
        os.makedirs(_PLACE + b"/walk%d/a/b/c" % number)
    children = []
    for _ in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            for _ in range(80):
                for number in range(2):
                    with suppress(OSError):
                        os.stat(_PLACE + b"/walk%d/a/b/c/../../b/c/../../.." % number)
            os._exit(0)
    for _ in range(40):
        libc.renameat2(_AT_FDCWD, _PLACE + b"/walk0", _AT_FDCWD, _PLACE + b"/walk1", 2)
        os.rename(_PLACE + b"/walk0/a/b", _PLACE + b"/walk1/b")
        os.rename(_PLACE + b"/walk1/b", _PLACE + b"/walk0/a/b")
    return [os.waitpid(child, 0)[1] for child in children]


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
