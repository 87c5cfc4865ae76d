"""The default filter answers what its data says, call by call, in a child with every other right.

The child is root of namespaces of its own, so that what is refused is refused by the filter alone.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import stat
import subprocess
import sys

import pyseccomp
import pytest

from libos.kernel.process import BPF_INSTRUCTION_BYTES
from libos.syscalls import DEFAULT, tables
from libos.syscalls.compiling import program

# Loads the filter, then does each call of its argument; prints errnos, 0 where a call went well.
CHILD = """
import ctypes, json, os, sys
from libos.kernel import process
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long] * 7
program, calls = bytes.fromhex(sys.stdin.readline()), json.loads(sys.stdin.readline())
texts = {}
if program:
    process.set_no_new_privileges()
    process.load_seccomp_filter(program)
def word(value):
    if isinstance(value, str):
        texts[value] = ctypes.create_string_buffer(value.encode())
        return ctypes.addressof(texts[value])
    return value
def answer(call):
    words = [word(each) for each in call] + [0] * (7 - len(call))
    return ctypes.get_errno() if libc.syscall(*words) < 0 else 0
print(json.dumps([answer(call) for call in calls]))
"""
# Runs machine code: x86-64's way into the 32-bit system calls.
INT_80 = """
import ctypes, mmap, sys
from libos.kernel import process
process.set_no_new_privileges()
process.load_seccomp_filter(bytes.fromhex(sys.stdin.readline()))
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
OWN_NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--net"]
HIGH = 1 << 32  # a bit that the kernel cuts off an int argument

on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="this machine has no second ABI")


def number(name: str) -> int:
    """A system call's number here; negative where this machine has none of that name."""
    return int(pyseccomp.resolve_syscall(pyseccomp.system_arch(), name))


def answers(*calls: tuple[object, ...], loaded: bytes | None = None) -> list[int]:
    """The errno of each call (a name or a number, then arguments) behind the filter."""
    words = [[number(each[0]) if isinstance(each[0], str) else each[0], *each[1:]] for each in calls]
    data = (program(DEFAULT) if loaded is None else loaded).hex() + "\n" + json.dumps(words) + "\n"
    child = [*OWN_NAMESPACES, sys.executable, "-c", CHILD]
    done = subprocess.run(child, input=data, capture_output=True, text=True, check=True, cwd="/")
    found: list[int] = json.loads(done.stdout)
    return found


def denied() -> list[str]:
    """The calls that the default profile refuses with EPERM, those that this machine has."""
    refused = [each for name, each in tables.groups().items() if name not in tables.profile("default").groups]
    calls = [call for group in refused if group.error == "EPERM" for call in group.calls]
    return [call for call in calls if number(call) >= 0]


def test_every_name_in_the_table_is_eperm() -> None:
    assert dict(zip(denied(), answers(*((n, 0, 0, 0) for n in denied())), strict=True)) == dict.fromkeys(
        denied(), errno.EPERM
    )


def test_the_table_has_what_must_never_be_missing() -> None:
    assert {"mount", "bpf", "keyctl", "setns", "io_uring_setup", "init_module", "kexec_load"} <= set(denied())


def test_without_the_filter_the_same_calls_are_answered_otherwise() -> None:
    calls = [("mount", 0, 0, 0), ("umount2", 0, 0), ("chroot", 0), ("unshare", 0x20000), ("fsopen", 0, 0)]
    assert errno.EPERM not in answers(*calls, loaded=b"")


def test_clone3_and_openat2_are_absent_so_that_programs_fall_back() -> None:
    assert answers(("clone3", 0, 0), ("openat2", 0, 0, 0, 0)) == [errno.ENOSYS] * 2


@pytest.mark.parametrize("flag", [1 << bit for bit in (7, 17, 25, 26, 27, 28, 29, 30)])
def test_no_new_namespace_by_unshare_alone_or_with_other_flags(flag: int) -> None:
    assert answers(("unshare", flag), ("unshare", flag | 0x400)) == [errno.EPERM] * 2


def test_no_new_namespace_by_clone() -> None:
    flags = [0x10000000, 0x20000, 0x40000000 | 0x20000000]
    assert answers(*(("clone", flag | signal.SIGCHLD, 0, 0, 0, 0) for flag in flags)) == [errno.EPERM] * 3


@pytest.mark.parametrize("request_number", [0x5412, 0x541C])
def test_terminal_injection_is_refused_whatever_the_upper_half(request_number: int) -> None:
    calls = [("ioctl", 0, request_number | high, "x") for high in (0, HIGH, 0xDEADBEEF << 32)]
    assert answers(*calls) == [errno.EPERM] * 3


@pytest.mark.parametrize("family", [38, 40])  # AF_ALG, AF_VSOCK
def test_families_without_namespaces_are_refused_whatever_the_upper_half(family: int) -> None:
    calls = [("socket", family | high, 5, 0) for high in (0, HIGH)]
    assert answers(*calls) == [errno.EAFNOSUPPORT] * 2
    assert answers(("socket", 2, 1, 0), ("socket", 10, 2, 0), ("socket", 1, 1, 0)) == [0, 0, 0]


@pytest.mark.parametrize("bits", [stat.S_ISUID, stat.S_ISGID, stat.S_ISUID | stat.S_ISGID])
def test_set_id_bits_cannot_be_set_by_any_call(bits: int, tmp_path: object) -> None:
    folder, file, mode = str(tmp_path), f"{tmp_path}/file", 0o755 | bits
    calls: list[tuple[object, ...]] = [
        ("fchmod", 1, mode),
        ("fchmodat", -100, file, mode),
        ("openat", -100, file, os.O_CREAT | os.O_WRONLY, mode),
        ("openat", -100, folder, os.O_TMPFILE | os.O_WRONLY, mode),
        ("mknodat", -100, file, stat.S_IFREG | mode, 0),
    ]
    if number("fchmodat2") >= 0:
        calls.append(("fchmodat2", -100, file, mode, 0))
    if number("open") >= 0:
        calls += [
            ("chmod", file, mode),
            ("open", file, os.O_CREAT | os.O_WRONLY, mode),
            ("open", folder, os.O_TMPFILE | os.O_WRONLY, mode),
            ("creat", file, mode),
            ("mknod", file, stat.S_IFREG | mode, 0),
        ]
    assert answers(*calls) == [errno.EPERM] * len(calls)
    assert os.listdir(folder) == []


def test_other_modes_can_be_set(tmp_path: object) -> None:
    file = f"{tmp_path}/file"
    calls = [("openat", -100, file, os.O_CREAT | os.O_WRONLY, 0o1777), ("fchmodat", -100, file, 0o640)]
    # A mode without O_CREAT is no mode: glibc passes what the register holds.
    assert answers(*calls, ("openat", -100, file, os.O_RDONLY, 0o6755)) == [0, 0, 0]


@on_x86_64
def test_32_bit_system_calls_end_the_program() -> None:
    child = [*OWN_NAMESPACES, sys.executable, "-c", INT_80]
    done = subprocess.run(child, input=program(DEFAULT).hex() + "\n", text=True, cwd="/", capture_output=True)
    assert done.returncode in (-signal.SIGSYS, 128 + signal.SIGSYS), done.stderr


@on_x86_64
def test_x32_system_calls_end_the_program() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        answers((0x40000000 | number("getpid"),))
    assert raised.value.returncode in (-signal.SIGSYS, 128 + signal.SIGSYS)


def test_the_program_is_whole_instructions_and_made_once() -> None:
    assert len(program(DEFAULT)) % BPF_INSTRUCTION_BYTES == 0
    assert program(DEFAULT) is program(DEFAULT)
