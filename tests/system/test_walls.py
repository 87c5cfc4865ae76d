"""What a program finds when it feels for the walls: no rights, no strangers, nothing of the host."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from accounts import Account
from worlds import Worlds

import libos
from libos.kernel import landlock
from libos.namespace import HostSource

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Tries each line as an expression and prints its result or the name of its errno.
TRY = """
import ctypes, errno, os, signal, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
def write(path, text="1"):
    with open(path, "w") as file: file.write(text)
def read(path):
    with open(path, "rb") as file: return file.read(1)
for line in sys.argv[1:]:
    try: print(repr(eval(line)))
    except OSError as error: print(errno.errorcode[error.errno])
"""


def tried(worlds: Worlds, *lines: str, **options: object) -> dict[str, str]:
    """What each expression gave in one world."""
    return dict(zip(lines, worlds.python(TRY, *lines, **options).out.splitlines(), strict=True))


def test_what_the_caller_ignored_is_not_ignored_by_the_app(as_user: Account) -> None:
    ignoring = ["sh", "-c", "trap '' HUP INT QUIT USR1 PIPE; exec \"$@\"", "sh"]
    done = as_user.run([*ignoring, *as_user.libos("run", "--", "grep", "SigIgn", "/proc/self/status")])
    assert done.stdout.split() == ["SigIgn:", "0" * 16], done.stderr


def test_no_capability_in_any_set_and_none_to_come(worlds: Worlds) -> None:
    lines = worlds.run("cat", "/proc/self/status").out.splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert {name: int(status[name], 16) for name in status if name.startswith("Cap")} == dict.fromkeys(
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"], 0
    )
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {int(status[name], 16) for name in ("SigBlk", "SigIgn", "SigCgt")} == {0}


def test_everybody_is_app_and_maps_to_nobody_else(worlds: Worlds) -> None:
    out = worlds.run("sh", "-c", "id; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups").out
    uid, gid, groups, *maps, setgroups = out.split()
    assert (uid, gid, groups) == ("uid=1000(app)", "gid=1000(app)", "groups=1000(app)")
    (inside, _, length), gids = maps[:3], maps[3:]
    assert (inside, length, gids) == ("1000", "1", maps[:3])
    assert setgroups == "deny"


def test_only_the_worlds_own_processes_can_be_seen(worlds: Worlds) -> None:
    code = "import os; print(*sorted(int(p) for p in os.listdir('/proc') if p.isdecimal()), os.getpid())"
    first, own, again = worlds.python(code).out.split()
    assert (first, own) == ("1", again)


def test_process_1_cannot_be_read_traced_or_ended(worlds: Worlds) -> None:
    found = tried(
        worlds,
        *("read('/proc/1/mem')", "read('/proc/1/environ')", "read('/proc/1/maps')"),
        *("os.listdir('/proc/1/root')", "os.readlink('/proc/1/exe')", "open('/proc/1/fd/0')"),
        *("call('ptrace', 16, 1, 0, 0)", "os.readlink('/proc/1/ns/mnt')"),
        *("os.kill(1, signal.SIGKILL)", "os.kill(1, signal.SIGTERM)", "os.kill(1, 0)"),
    )
    for line in list(found)[:8]:
        assert found[line] in ("EACCES", "EPERM"), line
    # Without Landlock's scopes the call is allowed and does nothing: it lives on.
    signalled = "EPERM" if landlock.abi() >= landlock.ABI_SCOPES else "None"
    assert list(found.values())[8:] == [signalled] * 3


def test_process_1_does_not_tell_where_the_host_keeps_its_files(worlds: Worlds) -> None:
    # Its arguments would name the interpreter and the folder of libos.
    assert (
        worlds.run("cat", "/proc/1/cmdline", "/proc/1/comm").out.replace("\0", "") == "libos" + "libos init\n"
    )


def test_no_root_link_of_any_process_leads_out(worlds: Worlds) -> None:
    script = "sleep 60 & ls -di / /proc/*/root/. 2>/dev/null | awk '{print $1}' | sort -u | wc -l; kill $!"
    assert worlds.run("sh", "-c", script).out.split() == ["1"]
    walk = "cd /proc/self/root/../../..; ls -d usr proc; ls home root var work 2>&1 | grep -c 'No such'"
    assert worlds.run("sh", "-c", walk).out.split() == ["proc", "usr", "4"]


def test_the_kernels_settings_cannot_be_written(worlds: Worlds) -> None:
    lines = [
        f"write('/proc/{name}')"
        for name in (
            *("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/kernel/modprobe", "sys/vm/drop_caches"),
            *("sys/net/ipv4/ip_forward", "sys/user/max_user_namespaces", "sysrq-trigger"),
        )
    ]
    found = tried(worlds, *lines)
    # ENOENT: not every kernel has all; EROFS: all of /proc/sys is read-only.
    assert set(found.values()) <= {"EACCES", "EPERM", "ENOENT", "EROFS"}, found
    assert found[lines[0]] == "EROFS"


def test_no_mount_can_be_made_changed_or_removed(worlds: Worlds) -> None:
    found = tried(
        worlds,
        "call('mount', b'x', b'/tmp', b'tmpfs', 0, None)",
        "call('mount', b'/', b'/tmp', None, 4096, None)",
        "call('mount', None, b'/usr', None, 0x1020, None)",
        "call('umount2', b'/usr', 2)",
        "call('umount2', b'/proc', 2)",
        "os.chroot('/tmp')",
        "socket.sethostname('mine')",
        "call('unshare', 0x10000000)",
        "call('unshare', 0x20000)",
    )
    assert set(found.values()) == {"EPERM"}, found


def test_devices_cannot_be_made_and_only_harmless_ones_are_there(worlds: Worlds) -> None:
    found = tried(
        worlds,
        "sorted(os.listdir('/dev'))",
        "os.mknod('/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(254, 0))",
        "os.mknod('/tmp/mem', stat.S_IFCHR | 0o666, os.makedev(1, 1))",
        "os.mkfifo('/tmp/fifo')",
        "write('/dev/x')",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
    )
    devices, disk, memory, fifo, new, raw, packet = found.values()
    assert devices == repr(
        sorted(
            ["full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"]
            + ["fd", "stderr", "stdin", "stdout"]
        )
    )
    refused = "EACCES" if landlock.abi() >= landlock.ABI_REFER else "EPERM"
    assert (disk, memory, fifo, new) == (refused, refused, "None", "EROFS")
    assert raw == packet == "EPERM"


def test_set_uid_programs_give_nothing(worlds: Worlds) -> None:
    result = worlds.run("sh", "-c", "test -u /usr/bin/su && echo there; su -c id </dev/null", check=False)
    assert result.out == "there\n"
    assert result.status != 0


def test_core_dumps_are_off_and_cannot_be_turned_on(worlds: Worlds) -> None:
    assert worlds.run("sh", "-c", "ulimit -c; ulimit -Hc; ulimit -c 1 2>&1 || :").out.split()[:2] == [
        "0",
        "0",
    ]


def test_the_hosts_abstract_sockets_and_ipc_are_out_of_reach(worlds: Worlds) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0libos-test-{os.getpid()}")
        listener.listen()
        line = f"socket.socket(socket.AF_UNIX).connect('\\0libos-test-{os.getpid()}')"
        assert tried(worlds, line) == {line: "ECONNREFUSED"}
    assert "0x" not in worlds.run("ipcs").out


def test_the_environment_is_the_manifests_alone(worlds: Worlds) -> None:
    # The supervisor has more, such as XDG_RUNTIME_DIR.
    assert sorted(worlds.run("env", environment=["A=b"]).out.splitlines()) == [
        *("A=b", "HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin")
    ]


async def test_no_descriptor_of_the_caller_is_inherited(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        app = await supervisor.start(
            {"libos": 1, "include": ["base"], "app": {"command": ["ls", "-l", "/proc/self/fd"]}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert app.stdout is not None
        out = b"".join([chunk async for chunk in app.stdout]).decode()
        await app.wait()
        await app.aclose()
    links = [line.split()[8:] for line in out.splitlines() if "->" in line]
    assert [link[0] for link in links] == ["0", "1", "2", "3"]  # 3 is the listing's own
    assert links[3][2] == "/proc/" + links[3][2].split("/")[2] + "/fd"
    assert "secret" not in out


async def test_the_keepers_hold_nothing_of_the_caller(
    supervisor: libos.Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await supervisor.start(
        {"libos": 1, "include": ["base"], "app": {"command": ["sleep", "60"]}},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    init = parent(app.pid)
    inside = parent(init)
    outside = parent(inside)
    assert parent(outside) == os.getpid()
    # Init holds each mount of its own world, to find it again wherever the app moves its place.
    own = {step.at for step in app.plan.steps} | {mount.at for mount in app.plan.namespace}
    own |= {source.path for mount in app.plan.namespace if isinstance(source := mount.source, HostSource)}
    for pid in (init, inside, outside):
        try:
            assert await trio.Path(f"/proc/{pid}/environ").read_bytes() == b""
        except PermissionError:  # only root can look at who made a namespace of his own
            assert os.geteuid() != 0
            assert pid != outside
            continue
        known = ("socket:", "pipe:", "anon_inode:", "/dev/null")
        others = {target for target in open_files(pid) if not target.startswith(known)}
        # Init bounds each program's namespace by /proc/sys; the keeper's outside half holds the locks on the
        # identities of root's worlds.
        mayhold = {init: own | {"/proc/sys"}, outside: {"/run/libos/ids"}}.get(pid, set())
        assert others - mayhold == set()
    await app.kill()


def open_files(pid: int) -> list[str]:
    """What the descriptors of a process lead to."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def parent(pid: int) -> int:
    """The parent of a process. proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
