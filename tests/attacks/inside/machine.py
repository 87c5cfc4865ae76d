"""Attacks on the kernel by system calls that change, load or watch the machine."""

from __future__ import annotations

import ctypes
import fcntl
import os
import pty
import signal
import stat
import struct
import termios

from trying import Nothing, call, checked, libc, main, named, past

_AT_FDCWD = -100
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNS = 0x20000
_OPEN_TREE_CLONE = 1


def mount_a_tmpfs() -> object:
    return call("mount", b"x", b"/tmp", b"tmpfs", 0, None)


def mount_proc_anew() -> object:
    return call("mount", b"proc", b"/tmp", b"proc", 0, None)


def make_usr_writable() -> object:
    return call("mount", b"/usr", b"/usr", None, 4096, None), call("mount", None, b"/usr", None, 0x1020, None)


def bind_the_root() -> object:
    return call("mount", b"/", b"/tmp", None, 4096 | 16384, None)


def take_proc_off() -> object:
    return call("umount2", b"/proc", 2)


def pivot_the_root() -> object:
    return past("EINVAL EBUSY", "pivot_root", b"/tmp", b"/tmp")


def change_the_root() -> object:
    return call("chroot", b"/")


def copy_a_mount() -> object:
    return call("open_tree", _AT_FDCWD, b"/", _OPEN_TREE_CLONE | 0x8000)


def set_a_mounts_attributes() -> object:
    return past("EINVAL", "mount_setattr", _AT_FDCWD, b"/", 0, None, 0)


def new_filesystem() -> object:
    return call("fsopen", b"tmpfs", 0)


def fsconfig_in_an_own_user_namespace() -> object:
    """CVE-2022-0185: legacy_parse_param is reached with capabilities of an own user namespace alone."""
    call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
    context_fd = call("fsopen", b"tmpfs", 0)
    return call("fsconfig", context_fd, 1, b"size", b"64k", 0)


def user_namespace_by_unshare() -> object:
    return call("unshare", _CLONE_NEWUSER)


def user_namespace_by_clone() -> object:
    pid = call("clone", _CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def user_namespace_by_clone3() -> object:
    arguments = struct.pack("=8Q", _CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    buffer = ctypes.create_string_buffer(arguments, len(arguments))
    pid = call("clone3", buffer, len(arguments))
    if pid == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def enter_a_namespace() -> object:
    return call("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


def set_the_hostname() -> object:
    return call("sethostname", b"mine", 4)


def set_the_domain() -> object:
    return call("setdomainname", b"mine", 4)


def restart_the_machine() -> object:
    return past("EINVAL", "reboot", 0xFEE1DEAD, 672274793, 0, None)


def load_another_kernel() -> object:
    return past("EINVAL", "kexec_load", 0, 0, None, 0xDEAD)


def load_another_kernel_from_a_file() -> object:
    return past("EINVAL", "kexec_file_load", -1, -1, 0, None, 0xDEAD)


def load_a_module() -> object:
    return past("ENOEXEC", "init_module", b"\0" * 64, 64, b"")


def load_a_module_from_a_file() -> object:
    return past("EINVAL", "finit_module", 0, b"", 0xDEAD)


def unload_a_module() -> object:
    return past("ENOENT", "delete_module", b"libos_none", 0x800)


def set_the_clock() -> object:
    """adjtimex(2): reads the tick, then sets it to what it is."""
    timex = ctypes.create_string_buffer(256)
    call("adjtimex", timex)
    (tick,) = struct.unpack_from("=q", timex, 88)
    timex = ctypes.create_string_buffer(256)
    struct.pack_into("=I", timex, 0, 0x4000)  # ADJ_TICK
    struct.pack_into("=q", timex, 88, tick)
    call("adjtimex", timex)
    return "the tick is set"


def add_swap() -> object:
    return past("ENOENT", "swapon", b"/nothing/here", 0)


def remove_swap() -> object:
    return past("ENOENT", "swapoff", b"/nothing/here")


def account_processes() -> object:
    return past("EACCES EISDIR", "acct", b"/")


def turn_quotas_on() -> object:
    return past("ENOTBLK", "quotactl", 0x80000200, b"/dev/null", 0, None)


def read_the_kernels_log() -> object:
    return call("syslog", 3, ctypes.create_string_buffer(4096), 4096)


def hang_up_the_terminal() -> object:
    return call("vhangup")


def reach_a_port_of_the_machine() -> object:
    return checked(libc.ioperm(0x80, 1, 1), "ioperm")


def raise_the_io_level() -> object:
    return checked(libc.iopl(3), "iopl")


def make_all_memory_executable() -> object:
    """personality(2), READ_IMPLIES_EXEC."""
    return call("personality", 0x0400000)


def switch_off_address_randomisation() -> object:
    return call("personality", 0x0040000)


def make_a_disk() -> object:
    os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    os.unlink("/tmp/disk")
    return "a block device"


def map_page_zero() -> object:
    """mmap(2) at 0: a null pointer of the kernel would be the app's (vm.mmap_min_addr)."""
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    ctypes.set_errno(0)
    found = libc.mmap(0, 4096, 3, 0x32, -1, 0)
    if ctypes.get_errno():
        checked(-1, "mmap")
    return f"mapped at {found or 0}"


def push_input_into_a_terminal() -> object:
    """CVE-2017-5226: TIOCSTI on the controlling terminal."""
    _, slave_fd = pty.openpty()
    fcntl.ioctl(slave_fd, termios.TIOCSCTTY, 0)
    fcntl.ioctl(slave_fd, termios.TIOCSTI, b"x")
    return "pushed"


def push_input_with_high_bits() -> object:
    """CVE-2019-10063: the filter compares 64 bits, the kernel 32."""
    _, slave_fd = pty.openpty()
    fcntl.ioctl(slave_fd, termios.TIOCSCTTY, 0)
    request = ctypes.c_ulong(termios.TIOCSTI | 1 << 32)
    letter = ctypes.create_string_buffer(b"x")
    libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
    return checked(libc.ioctl(slave_fd, request, ctypes.addressof(letter)), "ioctl")


def lay_a_filter_that_allows_all() -> object:
    """seccomp(2): the strictest of all filters decides, so one more that allows opens nothing."""
    checked(libc.prctl(38, 1, 0, 0, 0), "prctl")
    allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000), 8)
    program = ctypes.create_string_buffer(struct.pack("@HP", 1, ctypes.addressof(allow)), 16)
    call("seccomp", 1, 0, program)
    return call("sethostname", b"mine", 4)


def keep_set_id_bits() -> object:
    """A set-uid program of the app's that would stay when the world is gone."""
    fd = os.open("/tmp/program", os.O_CREAT | os.O_WRONLY, 0o755)
    os.fchmod(fd, 0o4755)
    mode = os.fstat(fd).st_mode
    os.unlink("/tmp/program")
    if not mode & stat.S_ISUID:
        raise Nothing("the bit is not set")
    return oct(mode)


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
