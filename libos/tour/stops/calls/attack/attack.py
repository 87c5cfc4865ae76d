"""Makes calls that the app never makes."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable

# ptrace(2): let the parent trace this process.
PTRACE_TRACEME = 0

libc = ctypes.CDLL(None, use_errno=True)


def trace_me() -> None:
    """Offer this process to be traced; ptrace(2)."""
    if libc.ptrace(PTRACE_TRACEME, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def attempt(name: str, call: Callable[[], object]) -> None:
    """Make a call, and say what the kernel answered."""
    try:
        call()
        print(f"{name}: done")
    except OSError as error:
        print(f"{name}: {errno.errorcode[error.errno or 0]}")


attempt("socket", socket.socket)
attempt("memfd_create", lambda: os.memfd_create("program"))
attempt("ptrace", trace_me)
