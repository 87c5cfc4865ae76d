"""What a process may do and is called: prctl, capset, seccomp, clone, namespaces."""

from __future__ import annotations

import errno
import os
import struct

import pytest
from private import run

from libos.kernel import namespaces, syscalls


def test_dropping_capabilities_empties_all_five_sets() -> None:
    program = """
        process.set_no_new_privileges()
        process.drop_capabilities()
        for line in open("/proc/self/status"):
            if line.startswith(("Cap", "NoNewPrivs")):
                print(*line.split())
    """
    zero = "0" * 16
    sets = "".join(f"Cap{name}: {zero}\n" for name in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    assert run(program) == sets + "NoNewPrivs: 1\n"


def test_names_are_what_ps_shows() -> None:
    program = """
        process.set_name("a very long name indeed")
        process.set_command_line("shown")
        print(open("/proc/self/comm").read(), end="")
        print(open("/proc/self/cmdline").read().rstrip(chr(0)))
    """
    assert run(program) == "a very long nam\nshown\n"


def test_close_from_keeps_what_is_below() -> None:
    program = """
        kept = os.dup(1)
        last = os.dup(1)
        process.close_from(kept + 1)
        os.fstat(kept)
        try:
            os.fstat(last)
        except OSError as error:
            print(errno.errorcode[error.errno])
    """
    assert run(program) == "EBADF\n"


def test_a_filter_is_in_force() -> None:
    # BPF of two instructions for each outcome: load the call's number, compare, return (seccomp(2)).
    program = """
        import struct
        getpid = {"x86_64": 39, "aarch64": 172}[os.uname().machine]
        refuse = 0x00050000 | errno.EXDEV
        code = [(0x20, 0, 0, 0), (0x15, 0, 1, getpid), (0x06, 0, 0, refuse), (0x06, 0, 0, 0x7FFF0000)]
        process.set_no_new_privileges()
        process.load_seccomp_filter(b"".join(struct.pack("=HBBI", *each) for each in code))
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(getpid), errno.errorcode[ctypes.get_errno()])
    """
    assert run(program) == "-1 EXDEV\n"


def test_clone_makes_a_child_in_namespaces_of_its_own() -> None:
    program = """
        pid, pidfd = namespaces.clone_process(namespaces.CLONE_NEWPID | namespaces.CLONE_NEWUTS)
        if pid == 0:
            socket.sethostname("inner")
            print(os.getpid(), socket.gethostname(), flush=True)
            os._exit(7)
        assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status == 7
        print(socket.gethostname() != "inner", os.get_inheritable(pidfd))
    """
    assert run(program) == "1 inner\nTrue False\n"


def test_a_child_dies_with_its_parent() -> None:
    program = """
        ours, theirs = os.pipe()
        first = os.fork()
        if first == 0:
            if os.fork() == 0:
                process.die_with_parent()
                os.write(theirs, b"up")
                import signal
                signal.pause()
            os.read(ours, 2)
            os._exit(0)
        os.waitpid(first, 0)
        os.close(theirs)
        print(os.read(ours, 1))  # the end: nobody holds the other side any more
    """
    assert run(program) == "b''\n"


def test_id_maps_that_the_host_refuses_say_which_file() -> None:
    with pytest.raises(OSError, match=r"write /proc/self/setgroups \(deny\): ") as caught:
        namespaces.write_id_maps("/proc/self", 1000, 0, 0)
    assert caught.value.errno in (errno.EPERM, errno.EACCES)


def test_a_call_takes_words_bytes_buffers_and_null() -> None:
    with pytest.raises(OSError, match="open nothing: ") as caught:
        syscalls.call("open nothing", "openat2", -100, b"/absent", struct.pack("=QQQ", 0, 0, 0), 24)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(OSError, match="take a null: Bad address") as caught:
        syscalls.call("take a null", "openat2", -100, None, struct.pack("=QQQ", 0, 0, 0), 24)
    assert caught.value.errno == errno.EFAULT


def test_every_machine_has_the_same_calls() -> None:
    tables = [set(table) for table in syscalls._NUMBERS.values()]
    assert all(table == tables[0] for table in tables)
    assert os.uname().machine in syscalls._NUMBERS
