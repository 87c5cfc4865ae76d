"""Attacks by the kernel's own files: what it runs as root by itself, and what changes the machine.

Outside each is opened to write and closed again: that is all that stands between root and the rest.
"""

from __future__ import annotations

import os

from trying import Nothing, main, named


def _opened(*paths: str, flags: int = os.O_WRONLY) -> str:
    """Opens the first that is there."""
    for path in paths:
        try:
            os.close(os.open(path, flags))
        except FileNotFoundError:
            continue
        return f"{path} is open"
    raise FileNotFoundError(2, paths[-1])


def core_pattern() -> object:
    return _opened("/proc/sys/kernel/core_pattern")


def modprobe_path() -> object:
    return _opened("/proc/sys/kernel/modprobe")


def hotplug_helper() -> object:
    return _opened("/proc/sys/kernel/hotplug", "/sys/kernel/uevent_helper")


def release_agent() -> object:
    """CVE-2022-0492: the program that the kernel runs, as root, when a cgroup becomes empty."""
    folders = [f"/sys/fs/cgroup/{name}" for name in ("", "memory", "pids", "rdma", "devices", "systemd")]
    return _opened(*(f"{folder}/release_agent" for folder in folders))


def cgroup_of_itself() -> object:
    """Its own limits: moved out of its cgroup it has none."""
    return _opened("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs")


def formats_of_programs() -> object:
    """binfmt_misc: an interpreter for everybody's programs."""
    return _opened("/proc/sys/fs/binfmt_misc/register")


def magic_keys() -> object:
    return _opened("/proc/sysrq-trigger")


def swappiness_and_caches() -> object:
    return _opened("/proc/sys/vm/drop_caches")


def forwarding() -> object:
    return _opened("/proc/sys/net/ipv4/ip_forward")


def pid_limit() -> object:
    return _opened("/proc/sys/kernel/pid_max")


def interrupts() -> object:
    return _opened(*(f"/proc/irq/{n}/smp_affinity" for n in range(40)))


def memory_of_the_kernel() -> object:
    return _opened("/proc/kcore", flags=os.O_RDONLY)


def memory_of_the_machine() -> object:
    return _opened("/dev/mem", "/dev/port", flags=os.O_RDWR)


def the_kernels_log() -> object:
    return _opened("/dev/kmsg", "/proc/kmsg", flags=os.O_RDONLY | os.O_NONBLOCK)


def addresses_of_the_kernel() -> object:
    with open("/proc/kallsyms") as table:
        addresses = {line.split()[0] for line in table.readlines()[:1000]}
    if addresses <= {"0" * 16, "0" * 8}:
        raise Nothing("all addresses are zero")
    return "addresses"


def disks() -> object:
    names = ("vda", "sda", "nvme0n1", "xvda", "vdb", "mmcblk0")
    return _opened(*(f"/dev/{name}" for name in names), flags=os.O_RDONLY)


def tracing() -> object:
    return _opened(
        "/sys/kernel/tracing/trace_pipe", "/sys/kernel/debug/kprobes", flags=os.O_RDONLY | os.O_NONBLOCK
    )


def devices_of_the_host() -> object:
    return _opened("/dev/fuse", "/dev/net/tun", "/dev/kvm", flags=os.O_RDWR)


def console() -> object:
    return _opened("/dev/console", "/dev/tty0", flags=os.O_WRONLY | os.O_NOCTTY)


def mode_of_a_device() -> object:
    os.chmod("/dev/null", os.stat("/dev/null").st_mode & 0o777)
    return "changed"


def oom_immunity() -> object:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    return "immune"


def priority() -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    return "first"


def real_time() -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "first"


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
