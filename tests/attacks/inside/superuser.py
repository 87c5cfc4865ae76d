"""What a root tries that goes beyond the ids of its world: superuser.py FOLDER prints the outcomes as JSON,
"done" or the name of an errno. Each runs in a child of its own."""

import ctypes
import errno
import fcntl
import json
import os
import socket
import stat
import sys
from collections.abc import Callable

libc = ctypes.CDLL(None, use_errno=True)
# linux/sched.h
NEWNS, NEWUSER = 0x20000, 0x10000000
# A capability set of version 2 with nothing in it: linux/capability.h
NO_FILE_CAPABILITIES = b"\0\0\0\2" + bytes(16)


def _call(name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def _set_user_id() -> None:
    os.chmod("file", 0o4755)
    if not os.stat("file").st_mode & stat.S_ISUID:
        raise PermissionError(errno.EPERM, "the bit was taken away")


def _memory_of_process_1() -> None:
    """Outside it is a program of the same root, in a world it is init."""
    with open("/proc/1/mem", "rb"):
        pass


def _network() -> None:
    """Bring the loopback down: SIOCSIFFLAGS of lo, netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, b"lo".ljust(16, b"\0") + bytes(24))


ATTEMPTS: dict[str, Callable[[], object]] = {
    "mount": lambda: _call("mount", b"x", b".", b"tmpfs", 0, None),
    "new namespaces": lambda: _call("unshare", NEWUSER | NEWNS),
    "chroot": lambda: os.chroot("."),
    "host name": lambda: socket.sethostname("other"),
    "whiteout": lambda: os.mknod("whiteout", stat.S_IFCHR | 0o600, 0),
    "set-user-id": _set_user_id,
    "file capabilities": lambda: os.setxattr("file", "security.capability", NO_FILE_CAPABILITIES),
    "memory of process 1": _memory_of_process_1,
    "network": _network,
}


def _outcome(attempt: Callable[[], object]) -> str:
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = "done"
        try:
            attempt()
        except OSError as error:
            answer = errno.errorcode[error.errno or 0]
        os.write(write_fd, answer.encode())
        os._exit(0)
    os.close(write_fd)
    os.waitpid(pid, 0)
    with open(read_fd, "rb") as file:
        return file.read().decode()


os.chdir(sys.argv[1])
with open("file", "w"):
    pass
print(json.dumps({name: _outcome(attempt) for name, attempt in ATTEMPTS.items()}))
