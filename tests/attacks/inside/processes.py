"""Attacks on other processes: process 1 of the world, and where they work a process of the same user.

SETTING: "victim", its number; in a world it is 1.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
from collections.abc import Callable

from trying import SETTING, Nothing, call, main, named

_VICTIM = int(SETTING.get("victim", 1))


def _alive() -> bool:
    """Whether it goes on as before: neither ended nor stopped."""
    try:
        with open(f"/proc/{_VICTIM}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "SRD"
    except FileNotFoundError:
        return False


def _ended_by(send: Callable[[], object]) -> str:
    send()
    for _ in range(2000):
        os.sched_yield()
        if not _alive():
            return "it is no more what it was"
    raise Nothing("it goes on")


def stop_it() -> object:
    return _ended_by(lambda: os.kill(_VICTIM, signal.SIGSTOP))


def stop_it_by_a_descriptor() -> object:
    pidfd = os.pidfd_open(_VICTIM)
    return _ended_by(lambda: signal.pidfd_send_signal(pidfd, signal.SIGSTOP))


def stop_it_by_its_thread() -> object:
    return _ended_by(lambda: call("tgkill", _VICTIM, _VICTIM, int(signal.SIGSTOP)))


def queue_a_signal() -> object:
    """rt_sigqueueinfo(2) with a code of the kernel's own."""
    info = struct.pack("=iii", signal.SIGSTOP, 0, 0x80).ljust(128, b"\0")
    return _ended_by(
        lambda: call("rt_sigqueueinfo", _VICTIM, int(signal.SIGSTOP), ctypes.create_string_buffer(info))
    )


def signal_by_a_pipe() -> object:
    """F_SETOWN and F_SETSIG: the kernel sends the signal when the pipe can be read."""
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(read_fd, fcntl.F_SETOWN, _VICTIM)
    fcntl.fcntl(read_fd, 10, int(signal.SIGSTOP))
    fcntl.fcntl(read_fd, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    return _ended_by(lambda: os.write(write_fd, b"x"))


def storm_of_signals() -> object:
    """Twelve thousand of them, of every kind; what stops it where it is not guarded is the first."""

    def storm() -> None:
        for _ in range(200):
            for number in range(1, 65):
                if number not in (signal.SIGCONT, 32, 33):
                    os.kill(_VICTIM, number)

    try:
        return _ended_by(storm)
    except ProcessLookupError:
        return "it has ended"


def trace_it() -> object:
    """PTRACE_SEIZE, which stops nothing."""
    return call("ptrace", 0x4206, _VICTIM, 0, 0)


def read_its_memory() -> object:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_size_t * 2)(int(SETTING.get("address", 4096)), 8)
    return call("process_vm_readv", _VICTIM, local, 1, remote, 1, 0)


def write_its_memory() -> object:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_size_t * 2)(int(SETTING.get("address", 4096)), 8)
    return call("process_vm_writev", _VICTIM, local, 1, remote, 1, 0)


def its_memory_file() -> object:
    return os.open(f"/proc/{_VICTIM}/mem", os.O_RDWR)


def its_environment() -> object:
    with open(f"/proc/{_VICTIM}/environ", "rb") as file:
        return file.read(100)


def its_maps() -> object:
    with open(f"/proc/{_VICTIM}/maps") as file:
        return file.read(100)


def its_descriptor() -> object:
    return call("pidfd_getfd", os.pidfd_open(_VICTIM), 0, 0)


def its_descriptors() -> object:
    return os.listdir(f"/proc/{_VICTIM}/fd")


def its_program() -> object:
    """CVE-2019-5736: the launcher's own program, opened by its link."""
    return os.open(f"/proc/{_VICTIM}/exe", os.O_RDONLY)


def its_namespaces() -> object:
    return os.open(f"/proc/{_VICTIM}/ns/mnt", os.O_RDONLY)


def its_root() -> object:
    return os.listdir(f"/proc/{_VICTIM}/root/")


def its_system_call() -> object:
    with open(f"/proc/{_VICTIM}/syscall") as file:
        return file.read()


def its_limits() -> object:
    return resource.prlimit(_VICTIM, resource.RLIMIT_NOFILE, (3, 3))


def its_priority() -> object:
    os.setpriority(os.PRIO_PROCESS, _VICTIM, 5)
    return "last"


def its_processor() -> object:
    os.sched_setaffinity(_VICTIM, {min(os.sched_getaffinity(0))})
    return "bound"


def its_place_before_the_oom_killer() -> object:
    with open(f"/proc/{_VICTIM}/oom_score_adj", "w") as file:
        file.write("1000")
    return "first to go"


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
