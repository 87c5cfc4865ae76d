"""Attacks on the kernel: by system calls that change the machine, by young parts of it, by sockets."""

from __future__ import annotations

import socket

import pytest
from attack import Attack, answers
from attacking import Field, judge

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

FILTER = "the system call filter"
OWN = "root of its own namespaces"
REFUSED = answers("EPERM")
NO_FAMILY = answers("EAFNOSUPPORT")
NO_NETLINK = answers("EPROTONOSUPPORT EPERM")


def call(
    name: str, what: str, *absent: str, root: bool = False, wall: str = FILTER, get: str = "EPERM"
) -> Attack:
    """A row of the tables below."""
    live = "root" if root else OWN
    return Attack(name, what, live, wall, answers(get), frozenset(absent), root)


CALLS = [
    call("mount_a_tmpfs", "mount(2) of a tmpfs"),
    call("mount_proc_anew", "mount(2) of a new /proc without masks"),
    call("make_usr_writable", "remount /usr read-write"),
    call("bind_the_root", "bind / elsewhere"),
    call("take_proc_off", "umount2(2) of /proc"),
    call("pivot_the_root", "pivot_root(2)"),
    call("change_the_root", "chroot(2)"),
    call("copy_a_mount", "open_tree(2), OPEN_TREE_CLONE"),
    call("set_a_mounts_attributes", "mount_setattr(2)"),
    call("new_filesystem", "fsopen(2)"),
    call(
        "fsconfig_in_an_own_user_namespace", "fsconfig(2) with an own user namespace's rights (CVE-2022-0185)"
    ),
    call("user_namespace_by_unshare", "a user namespace by unshare(2)"),
    call("user_namespace_by_clone", "a user namespace by clone(2)"),
    call("user_namespace_by_clone3", "a user namespace by clone3(2)", get="ENOSYS"),
    call("enter_a_namespace", "setns(2)"),
    call("set_the_hostname", "sethostname(2)"),
    call("set_the_domain", "setdomainname(2)"),
    call("restart_the_machine", "reboot(2)"),
    call("load_another_kernel", "kexec_load(2)", "ENOSYS", root=True),
    call("load_another_kernel_from_a_file", "kexec_file_load(2)", "ENOSYS", root=True),
    call("load_a_module", "init_module(2)", "ENOSYS", root=True),
    call("load_a_module_from_a_file", "finit_module(2)", "ENOSYS", root=True),
    call("unload_a_module", "delete_module(2)", "ENOSYS", root=True),
    call("set_the_clock", "adjtimex(2)", root=True),
    call("add_swap", "swapon(2)", root=True),
    call("remove_swap", "swapoff(2)", root=True),
    call("account_processes", "acct(2)", "ENOSYS", root=True),
    call("turn_quotas_on", "quotactl(2)", "ENOSYS"),
    call("read_the_kernels_log", "syslog(2)", root=True),
    call("hang_up_the_terminal", "vhangup(2)", root=True),
    call("reach_a_port_of_the_machine", "ioperm(2)", "ENOSYS", root=True),
    call("raise_the_io_level", "iopl(2)", "ENOSYS", root=True),
    call("make_all_memory_executable", "personality(2), READ_IMPLIES_EXEC"),
    call("switch_off_address_randomisation", "personality(2), ADDR_NO_RANDOMIZE"),
    call(
        "make_a_disk",
        "mknod(2) of a block device",
        root=True,
        wall="Landlock; no capabilities",
        get="EPERM EACCES",
    ),
    call("map_page_zero", "mmap(2) at address 0", root=True, wall="no capabilities"),
    call("push_input_into_a_terminal", "TIOCSTI (CVE-2017-5226)", "EIO"),
    call("push_input_with_high_bits", "TIOCSTI with a set upper half (CVE-2019-10063)", "EIO"),
    call("lay_a_filter_that_allows_all", "a seccomp filter of its own that allows all"),
    call("keep_set_id_bits", "a set-uid program of its own"),
]
DOORS = [
    call("bpf_map", "bpf(2): a map", root=True),
    call("bpf_program", "bpf(2): a program", root=True),
    call("perf_event", "perf_event_open(2)", root=True),
    call("key_in_the_session", "add_key(2)"),
    call("keyring_of_the_user", "keyctl(2) of the user's keyring"),
    call("ask_for_a_key", "request_key(2)"),
    call("user_faults", "userfaultfd(2)", "ENOSYS"),
    call("io_uring", "io_uring_setup(2), a way around every filter", "ENOSYS"),
    call("watch_all_files", "fanotify_init(2)", "ENOSYS"),
    call("compare_pointers_of_the_kernel", "kcmp(2)", "ENOSYS"),
    call("page_placement", "move_pages(2)", "ENOSYS"),
    call("int_0x80", "i386's calls by int 0x80", "SIGSEGV", "SIGILL", get="SIGSYS"),
    call("int_0x80_in_a_thread", "the same from a thread", "SIGSEGV", "SIGILL", get="SIGSYS"),
    call("x32", "x32's calls", "ENOSYS", get="SIGSYS"),
    call("trace_a_call_into_another_one", "a tracer that exchanges a call behind the filter's back"),
]
FAMILIES = [
    call("raw_ip", "a raw IPv4 socket", wall="no capabilities"),
    call("raw_ip6", "a raw IPv6 socket", wall="no capabilities"),
    call("packets", "a packet socket", wall="no capabilities"),
    call("packets_of_the_link", "a packet socket of the link's payload", wall="no capabilities"),
    call("vsock", "vsock, to the hypervisor", "EAFNOSUPPORT", get="EAFNOSUPPORT"),
    call("crypto_of_the_kernel", "AF_ALG", "EAFNOSUPPORT", get="EAFNOSUPPORT"),
    call("express_data_path", "AF_XDP", "EAFNOSUPPORT", get="EAFNOSUPPORT EPERM"),
    call("rare_families", "26 rare families, four kinds each", "EAFNOSUPPORT", get="EAFNOSUPPORT EPERM"),
    call("add_a_link", "netlink: a new link", "ENOTSUP", wall="no capabilities"),
    call("add_an_address", "netlink: an address", wall="no capabilities"),
    call("add_a_route", "netlink: a route", wall="no capabilities"),
    call("take_the_loopback_down", "SIOCSIFFLAGS: the loopback down", wall="no capabilities"),
    call("rules_of_the_packet_filter", "netlink: nf_tables", get="EPROTONOSUPPORT EPERM"),
    call(
        "rules_of_the_old_packet_filter", "iptables (CVE-2021-22555)", "ENOPROTOOPT", wall="no capabilities"
    ),
    call("audit_records", "netlink: audit records", root=True, get="EPROTONOSUPPORT EPERM"),
    call("forged_device_events", "netlink: device events for udev", get="EPROTONOSUPPORT EPERM"),
    call("mark_packets", "SO_MARK", wall="no capabilities"),
    call("force_a_buffer", "SO_RCVBUFFORCE", root=True, wall="no capabilities"),
    call(
        "forged_credentials",
        "SCM_CREDENTIALS of somebody else",
        wall="ids that do not exist",
        get="EINVAL EPERM",
    ),
]
HOST = [
    Attack(name, what, "outside", "the network namespace", answers("ECONNREFUSED nothing"))
    for name, what in (
        ("abstract_stream_of_the_host", "connect to an abstract socket of the host"),
        ("abstract_datagram_to_the_host", "send to an abstract socket of the host"),
        ("abstract_names_of_the_host", "list the host's abstract sockets"),
    )
]
ATTACKS = {
    "test_a_call_on_the_machine": CALLS,
    "test_a_young_part_of_the_kernel": DOORS,
    "test_a_socket": FAMILIES,
    "test_a_socket_of_the_host": HOST,
}


def each(attacks: list[Attack]) -> pytest.MarkDecorator:
    """The test once for every attack."""
    return pytest.mark.parametrize("attack", attacks, ids=lambda attack: attack.name)


@each(CALLS)
def test_a_call_on_the_machine(attack: Attack, ground: Field) -> None:
    name, uid = attack.name, ground.account.uid
    judge(attack, ground.in_namespaces("machine")[name], ground.in_world("machine")[name], uid)


@each(DOORS)
def test_a_young_part_of_the_kernel(attack: Attack, ground: Field) -> None:
    name, uid = attack.name, ground.account.uid
    judge(attack, ground.in_namespaces("doors")[name], ground.in_world("doors")[name], uid)


@each(FAMILIES)
def test_a_socket(attack: Attack, ground: Field) -> None:
    name, uid = attack.name, ground.account.uid
    judge(attack, ground.in_namespaces("sockets")[name], ground.in_world("sockets")[name], uid)


@each(HOST)
def test_a_socket_of_the_host(attack: Attack, ground: Field) -> None:
    name = "libos-attacked"
    with (
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind(f"\0{name}")
        stream.listen()
        datagrams.bind(f"\0{name}-datagram")
        setting = {"abstract": name}
        held = ground.in_world("hostsockets", setting)
        live = ground.outside("hostsockets", setting)
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)
