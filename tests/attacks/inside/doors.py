"""Attacks by young and large parts of the kernel: each hands out a descriptor or runs the caller's code."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

from trying import Nothing, call, checked, libc, main, named


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))


def bpf_map() -> object:
    return call("bpf", 0, _buffer(struct.pack("=IIII", 2, 4, 4, 1).ljust(128, b"\0")), 128)


def bpf_program() -> object:
    """A socket filter of two instructions: r0 = 0; exit."""
    code = _buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    text = _buffer(b"GPL\0")
    wanted = struct.pack("=IIQQIIQ", 1, 2, ctypes.addressof(code), ctypes.addressof(text), 0, 0, 0)
    return call("bpf", 5, _buffer(wanted.ljust(128, b"\0")), 128)


def perf_event() -> object:
    """The kernel's own clock as a counter of this process."""
    wanted = struct.pack("=IIQ", 1, 128, 0).ljust(128, b"\0")
    return call("perf_event_open", _buffer(wanted), 0, -1, -1, 0)


def key_in_the_session() -> object:
    return call("add_key", b"user", b"libos-attack", b"x", 1, -3)


def keyring_of_the_user() -> object:
    """KEYCTL_GET_KEYRING_ID of the user's keyring, which no namespace divides."""
    return call("keyctl", 0, -4, 1)


def ask_for_a_key() -> object:
    try:
        return call("request_key", b"user", b"libos-attack-none", None, 0)
    except OSError as error:
        if error.errno == 126:  # ENOKEY: it was looked for
            return "looked for"
        raise


def user_faults() -> object:
    return call("userfaultfd", 1)


def io_uring() -> object:
    """io_uring does what it is told beside the filter: a ring is a way around all its rules."""
    return call("io_uring_setup", 4, _buffer(bytes(120)))


def watch_all_files() -> object:
    return call("fanotify_init", 0x200, 0)


def compare_pointers_of_the_kernel() -> object:
    return call("kcmp", os.getpid(), os.getpid(), 0, 0, 1)


def page_placement() -> object:
    page = _buffer(bytes(8192))
    pages = (ctypes.c_void_p * 1)(ctypes.addressof(page) & ~4095)
    status = (ctypes.c_int * 1)()
    return call("move_pages", 0, 1, pages, None, status, 0)


def _run(code: str) -> int:
    """Runs machine code and gives eax."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex(code))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return int(function())


def int_0x80() -> object:
    """mov eax, 20 (getpid of i386); int 0x80; ret."""
    found = _run("b814000000cd80c3")
    if found != os.getpid():
        raise Nothing(f"answered {found}")
    return "an i386 call"


def int_0x80_in_a_thread() -> object:
    """The same from a thread: the filter stands around each."""
    import threading

    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_run("b814000000cd80c3")))
    thread.start()
    thread.join()
    return found


def x32() -> object:
    """getpid by x86-64's third ABI."""
    found = libc.syscall(0x40000000 | 39)
    return checked(found, "getpid")


def trace_a_call_into_another_one() -> object:
    """ptrace(2): a tracer exchanges a call that passes for one that does not, behind the filter."""
    return int(_run_program("exchange"))


def _run_program(name: str) -> str:
    import subprocess

    done = subprocess.run(
        [os.path.join(os.path.dirname(__file__), "compiled", name)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode:
        raise OSError(int(done.stdout or "5"), name)
    return done.stdout


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
