"""Attacks by the kernel's files and on other processes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from attack import Attack, answers
from attacking import Field, Outcomes, judge

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

CLOSED = answers("ENOENT EACCES EPERM EROFS ENXIO EBUSY nothing")


def setting(name: str, what: str, *absent: str, wall: str, root: bool = True, live: str = "root") -> Attack:
    """A row of the first table."""
    return Attack(name, what, live, wall, CLOSED, frozenset(absent), root)


IDS = "an unprivileged id: the file is root's"
NO_SYS = "there is no /sys"
DEV = "/dev has harmless devices alone"
OWN_DEV = "init makes /dev and /proc itself, and they are read-only mounts of its own"
SETTINGS = [
    setting("core_pattern", "core_pattern, which the kernel runs as root", wall=IDS),
    setting("modprobe_path", "the path of modprobe", "ENOENT", wall=IDS),
    setting("hotplug_helper", "uevent_helper", "ENOENT", wall=NO_SYS),
    setting("release_agent", "release_agent of cgroup v1 (CVE-2022-0492)", "ENOENT", wall=NO_SYS),
    setting("cgroup_of_itself", "its own cgroup", "ENOENT", wall=NO_SYS),
    setting("formats_of_programs", "binfmt_misc", "ENOENT", wall=IDS),
    setting("magic_keys", "sysrq-trigger", "ENOENT", wall=IDS),
    setting("swappiness_and_caches", "vm.drop_caches", wall=IDS),
    setting("forwarding", "net.ipv4.ip_forward", wall=IDS),
    setting("pid_limit", "kernel.pid_max", wall=IDS),
    setting("interrupts", "/proc/irq", "ENOENT", wall=IDS),
    setting("memory_of_the_kernel", "/proc/kcore", "ENOENT", wall=IDS),
    setting("memory_of_the_machine", "/dev/mem, /dev/port", "ENOENT", wall=DEV),
    setting("the_kernels_log", "/dev/kmsg, /proc/kmsg", "ENOENT", wall=DEV),
    setting("addresses_of_the_kernel", "/proc/kallsyms", "ENOENT", "nothing", wall="no capabilities"),
    setting("disks", "the disks in /dev", "ENOENT", "EPERM", wall=DEV),
    setting("tracing", "tracefs and debugfs", "ENOENT", wall=NO_SYS),
    setting("devices_of_the_host", "/dev/fuse, /dev/net/tun, /dev/kvm", "ENOENT", wall=DEV),
    setting("console", "/dev/console, /dev/tty0", "ENOENT", "ENXIO", "EIO", wall=DEV),
    setting("oom_immunity", "oom_score_adj of -1000", "EACCES", wall="no capabilities"),
    setting("priority", "setpriority(2)", wall="no capabilities"),
    setting("real_time", "sched_setscheduler(2), SCHED_FIFO", "EPERM", wall="no capabilities"),
    setting("mode_of_a_device", "chmod(2) of /dev/null", wall=IDS),
]
# Shown in namespaces, where /dev and /proc can be spared.
REPLACED = [
    Attack(name, what, "root of its own namespaces", OWN_DEV, CLOSED, root=True)
    for name, what in (
        ("replace_a_device", "/dev/null and /dev/console replaced by links (CVE-2025-31133, CVE-2025-52565)"),
        ("replace_dev", "/dev replaced by a link"),
        ("replace_proc", "/proc replaced by a link (CVE-2025-52881)"),
    )
]
GUARDED = "a user namespace above the app's guards it"
FIRST = "the kernel: process 1 gets no signal from inside"


def process(name: str, what: str, wall: str = GUARDED, *absent: str) -> Attack:
    """A row of the last table."""
    return Attack(
        name, what, "outside, on a process of the account", wall, CLOSED | {"ESRCH"}, frozenset(absent)
    )


PROCESSES = [
    process("stop_it", "kill(2), SIGSTOP", FIRST),
    process("stop_it_by_a_descriptor", "pidfd_send_signal(2)", FIRST),
    process("stop_it_by_its_thread", "tgkill(2)", FIRST),
    process("queue_a_signal", "rt_sigqueueinfo(2) that claims to come from the kernel", FIRST, "EPERM"),
    process("signal_by_a_pipe", "F_SETOWN and F_SETSIG: the kernel is to send it", FIRST),
    process("storm_of_signals", "twelve thousand signals", FIRST),
    process("trace_it", "ptrace(2)"),
    process("read_its_memory", "process_vm_readv(2)"),
    process("write_its_memory", "process_vm_writev(2)"),
    process("its_memory_file", "/proc/1/mem"),
    process("its_environment", "/proc/1/environ"),
    process("its_maps", "/proc/1/maps"),
    process("its_descriptor", "pidfd_getfd(2)"),
    process("its_descriptors", "/proc/1/fd"),
    process("its_program", "/proc/1/exe (CVE-2019-5736)"),
    process("its_namespaces", "/proc/1/ns"),
    process("its_root", "/proc/1/root"),
    process("its_system_call", "/proc/1/syscall"),
    process("its_limits", "prlimit(2)"),
    process("its_priority", "setpriority(2)"),
    process("its_processor", "sched_setaffinity(2)"),
    process("its_place_before_the_oom_killer", "/proc/1/oom_score_adj"),
]
ATTACKS = {
    "test_a_setting_of_the_kernel": SETTINGS,
    "test_a_name_of_dev_and_proc": REPLACED,
    "test_process_1": PROCESSES,
}
# A process that waits, and tells at what address something of it can be written.
VICTIM = """
import ctypes, sys
room = ctypes.create_string_buffer(64)
print(ctypes.addressof(room), flush=True)
sys.stdin.read()
"""


def on_a_victim(ground: Field) -> Outcomes:
    """Each attack on a process of its own that the account has."""
    found: Outcomes = {}
    for attack in PROCESSES:
        argv = ground.account.command(sys.executable, "-I", "-S", "-c", VICTIM)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            told = {"victim": victim.pid, "address": int(victim.stdout.readline())}
            found |= ground.outside("processes", told, attack.name)
            victim.kill()
    return found


@pytest.mark.parametrize("attack", SETTINGS, ids=lambda attack: attack.name)
def test_a_setting_of_the_kernel(attack: Attack, ground: Field) -> None:
    live, held = ground.outside("openings"), ground.in_world("openings")
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)


@pytest.mark.parametrize("attack", REPLACED, ids=lambda attack: attack.name)
def test_a_name_of_dev_and_proc(attack: Attack, ground: Field) -> None:
    live, held = ground.in_namespaces("replacing"), ground.in_world("replacing")
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)


@pytest.mark.parametrize("attack", PROCESSES, ids=lambda attack: attack.name)
def test_process_1(attack: Attack, ground: Field) -> None:
    live, held = ground.once("victims", lambda: on_a_victim(ground)), ground.in_world("processes")
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)
