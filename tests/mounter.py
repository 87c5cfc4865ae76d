"""Holds a FUSE mount in namespaces of its own, and starts programs there: the child side of `mounting.Mount`.

Run as `python mounter.py SOCKET_FD MOUNT_POINT`. Makes a user and a mount namespace, mounts, sends the
descriptor up, then serves requests: one packet of JSON {"argv", "directory", "environment"} with four
descriptors, the program's stdin, stdout and stderr, and a pipe on which "PID\n" and then "STATUS\n" are
written. Ends when its socket does. The caller is uid and gid 1000 in there.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from libos.kernel import mounts, namespaces, process

INSIDE = 1000


def main() -> None:
    """Mounts, hands the descriptor up, and starts what is asked for."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    mount_point = sys.argv[2]
    process.die_with_parent()
    uid, gid = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
    write_maps(uid, gid)
    mounts.make_private()
    fuse_fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = (
        f"fd={fuse_fd},rootmode=40000,user_id={INSIDE},group_id={INSIDE},allow_other,default_permissions"
    )
    mounts.mount("libos", mount_point, "fuse", mounts.MS_NOSUID | mounts.MS_NODEV, options)
    socket.send_fds(channel, [b"mounted"], [fuse_fd])
    os.close(fuse_fd)
    while True:
        packet, fds, _, _ = socket.recv_fds(channel, 1 << 20, 4)
        if not packet:
            return
        if os.fork() == 0:
            run(json.loads(packet), fds)
        for fd in fds:
            os.close(fd)
        reap()


def write_maps(uid: int, gid: int) -> None:
    """The caller alone, as 1000; user_namespaces(7)."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE} {uid} 1"),
        ("gid_map", f"{INSIDE} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def run(request: dict[str, object], fds: list[int]) -> None:
    """In a child: starts the program, tells its pid, waits, tells its status."""
    *stdio, status_fd = fds
    pid = os.fork()
    if pid == 0:
        for number, fd in enumerate(stdio):
            os.dup2(fd, number)
        try:
            os.chdir(str(request["directory"]))
            argv = [str(word) for word in request["argv"]]  # type: ignore[attr-defined]
            os.execvpe(argv[0], argv, dict(request["environment"]))  # type: ignore[call-overload]
        except OSError as error:
            os.write(2, str(error).encode())
        os._exit(127)
    for fd in stdio:
        os.close(fd)
    os.write(status_fd, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(status_fd, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def reap() -> None:
    """Takes the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
