"""System calls in real worlds: what programs need under each profile, and what attacks by raw calls get."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pexpect
import pyseccomp
import pytest
import trio
from accounts import Account
from worlds import RunError, Worlds

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

SOURCE = Path(__file__).with_name("attempts.c")
on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="this machine has no second ABI")
PROFILES = ["default", "strict", "compute"]
# Where the programs that the tests build stand in a world.
AT = "/opt/attempts"
AF_ALG, AF_PACKET, AF_BLUETOOTH, AF_VSOCK, AF_NETLINK = 38, 17, 31, 40, 16
NETLINK_NETFILTER = 12


@pytest.fixture(scope="module")
def built() -> Iterator[str]:
    """A static program that makes the calls it is told; every account may read it."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: scripts/system-packages test installs it")
    with tempfile.TemporaryDirectory(prefix="attempts-") as folder:
        Path(folder).chmod(0o755)
        program = f"{folder}/attempts"
        subprocess.run([compiler, "-O1", "-static", "-o", program, str(SOURCE)], check=True)
        yield program


def number(name: str) -> int:
    return int(pyseccomp.resolve_syscall(pyseccomp.system_arch(), name))


def attempted(worlds: Worlds, program: str, calls: list[tuple[object, ...]], **options: Any) -> list[int]:
    """The errno of each call, a name and arguments, made by a static program in one world."""
    words = [":".join(map(str, (number(str(name)), *arguments))) for name, *arguments in calls]
    done = worlds.run(AT, *words, mounts=[f"{program}:{AT}"], **options)
    return [int(line.split()[1]) for line in done.out.splitlines()]


SCRIPTS = {
    "python3": """python3 -c '
import hashlib, json, os, socket, sqlite3, subprocess, tempfile, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
assert subprocess.run(["true"]).returncode == 0
with tempfile.TemporaryDirectory() as folder: open(folder + "/x", "w").write("x")
assert list(ThreadPoolExecutor(4).map(abs, [-1, -2])) == [1, 2]
assert list(ProcessPoolExecutor(2).map(abs, [-1, -2])) == [1, 2]
server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname())
import asyncio; asyncio.run(asyncio.create_subprocess_exec("true"))
print("well")'""",
    "node": """node -e '
const {execFileSync} = require("child_process"), fs = require("fs"), http = require("http");
const {Worker} = require("worker_threads");
fs.writeFileSync("/tmp/x", "x"); execFileSync("true");
new Worker("require(\\"worker_threads\\").parentPort.postMessage(1)", {eval: true}).on("message", () => {
  const server = http.createServer((q, a) => a.end("well")).listen(0, "127.0.0.1", () =>
    http.get({port: server.address().port}, (a) => a.on("data", (d) => {console.log(""+d); server.close()})));
});'""",
    "git": """export HOME=/tmp; cd /tmp && git init -q x && cd x && echo 1 > a && git add a &&
git -c user.name=a -c user.email=a@b commit -qm 1 && git gc -q && git clone -q . ../y &&
git -C ../y log | grep -q 1 && echo well""",
    "gcc": """cd /tmp && printf '#include <stdio.h>\\nint main(void){puts("well");}' > a.c &&
gcc -O2 -pipe a.c && ./a.out""",
    "sqlite3": """cd /tmp && sqlite3 a.db 'pragma journal_mode=wal; create table t(x);
insert into t values("well"); vacuum;' >/dev/null && sqlite3 a.db 'select x from t'""",
    "curl": """echo well > /tmp/a && (cd /tmp && exec python3 -m http.server -b 127.0.0.1 8000 2>/dev/null) &
curl -s --retry 40 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/a; kill %1""",
}


@pytest.mark.parametrize("program", SCRIPTS)
@pytest.mark.parametrize("profile", ["default", "strict"])
def test_programs_do_their_work(worlds: Worlds, program: str, profile: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: scripts/system-packages test installs it")
    done = worlds.run("bash", "-c", SCRIPTS[program], include=["python", "node"], syscalls=profile)
    assert done.out.splitlines()[-1:] == ["well"], done.err


def test_a_static_program_computes_under_compute(worlds: Worlds, built: str) -> None:
    options: dict[str, Any] = {"mounts": [f"{built}:{AT}"], "syscalls": "compute"}
    assert worlds.run(AT, "compute", stdin=b"1 2 3.5", **options).out == "6.5\n"


def test_under_compute_nothing_is_opened_started_sent_or_killed(worlds: Worlds, built: str) -> None:
    calls: list[tuple[object, ...]] = [
        *(("openat", -100 % 2**64, 0, 0), ("socket", 2, 1, 0), ("clone", 17, 0, 0), ("kill", 1, 0)),
        *(("ioctl", 1, 0x5401, 0), ("prctl", 15, 0), ("getpid",), ("unshare", 0x10000000), ("dup", 0)),
    ]
    assert attempted(worlds, built, calls, syscalls="compute") == [errno.EPERM] * len(calls)


def test_a_program_that_is_not_static_is_told_so_under_compute(worlds: Worlds) -> None:
    done = worlds.run("true", syscalls="compute", check=False)
    assert done.status == 127 and "Operation not permitted" in done.err


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("way", ["x32", "int80"])
@on_x86_64
def test_a_call_by_a_foreign_abi_ends_the_process(worlds: Worlds, built: str, way: str, profile: str) -> None:
    getpid = {"x32": number("getpid"), "int80": 20}[way]
    options: dict[str, Any] = {"mounts": [f"{built}:{AT}"], "syscalls": profile, "check": False}
    done = worlds.run(AT, str(number("brk")), f"{way}:{getpid}", str(number("brk")), **options)
    assert done.status == -signal.SIGSYS
    assert done.out.splitlines() == [f"{number('brk')} 0"]  # nothing after it ran


@on_x86_64
def test_a_thread_that_does_it_takes_its_process_with_it(worlds: Worlds) -> None:
    code = (
        "import ctypes, signal, threading\n"
        "threading.Thread(target=ctypes.CDLL(None).syscall, args=(0x40000027,)).start()\nsignal.pause()"
    )
    assert worlds.python(code, check=False).status == -signal.SIGSYS


@pytest.mark.parametrize("profile", ["default", "strict"])
def test_families_of_sockets_are_an_allowlist(worlds: Worlds, built: str, profile: str) -> None:
    refused = [family for family in range(64) if family not in (1, 2, 10, AF_NETLINK, AF_PACKET)]
    calls: list[tuple[object, ...]] = [("socket", family | 1 << 32, 1, 0) for family in refused]
    calls += [("socket", family, 1, 0) for family in (1, 2, 10)]
    found = attempted(worlds, built, calls, syscalls=profile)
    assert found == [errno.EAFNOSUPPORT] * len(refused) + [0, 0, 0]
    assert {AF_ALG, AF_BLUETOOTH, AF_VSOCK} < set(refused)
    assert attempted(worlds, built, [("socket", AF_PACKET, 3, 0)], syscalls=profile) == [errno.EPERM]


def test_of_netlink_there_are_routes_alone_and_strictly_none(worlds: Worlds, built: str) -> None:
    calls: list[tuple[object, ...]] = [
        ("socket", AF_NETLINK, 3, protocol) for protocol in (0, NETLINK_NETFILTER, 9, 15)
    ]
    found = attempted(worlds, built, calls)
    assert found == [0, *[errno.EPROTONOSUPPORT] * 3]
    assert 0 not in attempted(worlds, built, calls, syscalls="strict")


def test_getifaddrs_finds_the_worlds_interfaces(worlds: Worlds) -> None:
    code = (
        "import ctypes\nlist = ctypes.c_void_p()\n"
        "print(ctypes.CDLL(None).getifaddrs(ctypes.byref(list)), bool(list))"
    )
    assert worlds.python(code).out == "0 True\n"
    assert worlds.python("import socket; print([n for _, n in socket.if_nameindex()])").out == "['lo']\n"


def test_attacks_by_raw_calls_are_refused(worlds: Worlds, built: str) -> None:
    calls: list[tuple[object, ...]] = [
        *((name,) for name in ("io_uring_setup", "bpf", "userfaultfd", "perf_event_open", "keyctl", "mount")),
        *(
            (name,)
            for name in ("add_key", "setns", "kexec_load", "finit_module", "open_by_handle_at", "kcmp")
        ),
        *(("unshare", flag) for flag in (0x10000000, 0x20000, 0x40000000, 0x80)),
        *(("clone", flag | 17) for flag in (0x10000000, 0x20000000)),
        *(("ioctl", 0, request | high, 0) for request in (0x5412, 0x541C) for high in (0, 1 << 32)),
        *(("prctl", option) for option in (35, 53)),
        ("personality", 0x0040000),  # ADDR_NO_RANDOMIZE
    ]
    assert attempted(worlds, built, calls) == [errno.EPERM] * len(calls)
    newer: list[tuple[object, ...]] = [("clone3",), ("openat2",)]
    assert attempted(worlds, built, newer) == [errno.ENOSYS] * 2
    unknown = worlds.run(AT, "900", mounts=[f"{built}:{AT}"]).out
    assert unknown == f"900 {errno.ENOSYS}\n"


def test_the_same_calls_are_answered_otherwise_where_they_are_allowed(worlds: Worlds, built: str) -> None:
    calls: list[tuple[object, ...]] = [
        ("io_uring_setup",),
        ("bpf", 99),
        ("keyctl", 99),
        ("open_by_handle_at",),
    ]
    manifest = {"include": ["base"], "syscalls": {"allow": ["@young", "@keyrings", "@handles"]}}
    found = attempted(worlds, built, calls, manifest=manifest)
    assert found[0] in (errno.EFAULT, errno.EINVAL) and found[2] == errno.EOPNOTSUPP


def test_a_manifest_allows_and_denies(worlds: Worlds, built: str) -> None:
    calls: list[tuple[object, ...]] = [("ptrace", 0), ("socket", 2, 1, 0), ("getpid",)]
    manifest: dict[str, Any] = {
        "include": ["base"],
        "syscalls": {"profile": "strict", "allow": ["ptrace"], "deny": ["@network"]},
    }
    assert attempted(worlds, built, calls, manifest=manifest) == [0, errno.EPERM, 0]
    assert attempted(worlds, built, calls, syscalls="strict") == [errno.EPERM, 0, 0]


def test_what_cannot_be_asked_starts_nothing(worlds: Worlds) -> None:
    with pytest.raises(RunError, match='no system call is named "ptrac", did you mean "ptrace"'):
        worlds.run("true", manifest={"include": ["base"], "syscalls": {"allow": ["ptrac"]}})
    with pytest.raises(RunError, match='"execve" cannot be denied'):
        worlds.run("true", manifest={"include": ["base"], "syscalls": {"deny": ["execve"]}})


async def status(supervisor: libos.Supervisor, program: str, call: str, **syscalls: Any) -> str:
    manifest: dict[str, Any] = {
        "include": ["base"],
        "app": {"command": [AT, call]},
        "mount": [{"at": AT, "host": program}],
        "syscalls": syscalls,
    }
    app = await supervisor.start(manifest, stdout=subprocess.PIPE)
    assert app.stdout is not None
    async with app.stdout:
        text = b"".join([chunk async for chunk in app.stdout]).decode()
    await app.wait()
    return text.split()[1]


async def test_worlds_of_one_supervisor_have_each_their_own(supervisor: libos.Supervisor, built: str) -> None:
    get = partial(status, supervisor, built, str(number("getpid")))
    wanted: list[dict[str, Any]] = [
        {},
        {"profile": "compute"},
        {},
        {"deny": ["getpid"]},
        {"profile": "strict"},
    ]
    found = []
    for syscalls in wanted:
        for _ in range(2):  # the second one may be a spare of the first
            found.append(await get(**syscalls))
            await supervisor.spare_ready()
    refused = str(errno.EPERM)
    assert found == ["0", "0", refused, refused, "0", "0", refused, refused, "0", "0"]


@pytest.mark.parametrize("terminal", [False, True])
async def test_further_programs_and_those_on_a_terminal_have_the_filter_too(
    supervisor: libos.Supervisor, built: str, terminal: bool
) -> None:
    manifest: dict[str, Any] = {
        "include": ["base"],
        "app": {"command": [AT, "compute"]},
        "mount": [{"at": AT, "host": built}],
        "syscalls": {"profile": "compute"},
    }
    app = await supervisor.start(manifest, stdin=subprocess.PIPE)
    call = [AT, str(number("getpid"))]
    stdout = None if terminal else subprocess.PIPE
    process = await app.exec(call, stdout=stdout, terminal=terminal)
    if process.terminal_fd is None:
        assert process.stdout is not None
        text = await process.stdout.receive_some()
    else:
        await trio.lowlevel.wait_readable(process.terminal_fd)
        text = os.read(process.terminal_fd, 100)
    assert text.split() == [str(number("getpid")).encode(), str(errno.EPERM).encode()]
    await process.wait()
    await process.aclose()
    await app.kill()
    await app.aclose()


def test_rules_are_printed_as_json_of_a_manifest_too(as_user: Account) -> None:
    manifest = as_user.folder / "agent.toml"
    manifest.write_text(
        'libos = 1\ninclude = ["base"]\n[syscalls]\nprofile = "strict"\ndeny = ["@network"]\n'
    )
    for words in (["--syscalls", str(manifest)], [str(manifest), "--syscalls"]):
        shown = json.loads(as_user.run(as_user.libos("explain", "--json", *words)).stdout)
        rules = {rule["call"]: rule for rule in shown["rules"]}
        assert (shown["profile"], shown["deny"], shown["otherwise"]) == ("strict", ["@network"], "ENOSYS")
        assert (rules["connect"]["action"], rules["connect"]["because"]) == ("EPERM", "deny")
        assert (rules["clone3"]["action"], rules["read"]["action"]) == ("ENOSYS", "allow")
        (check,) = rules["clone"]["checks"]
        assert "CLONE_NEWUSER" in check["says"]


def test_the_report_names_refused_calls(as_user: Account) -> None:
    manifest = as_user.folder / "agent.toml"
    command = 'command = ["python3", "-c", "import socket; socket.socket(socket.AF_VSOCK)"]'
    manifest.write_text(f'libos = 1\ninclude = ["python"]\n[app]\n{command}\n[syscalls]\nlog = true\n')
    done = as_user.run(as_user.libos("run", "--report", str(manifest)))
    assert "1x call  socket" in done.stderr
    assert "a call with [syscalls] allow" in done.stderr
    assert "allow = " not in done.stderr  # socket is allowed, and its check on arguments is never lifted


def test_a_shell_on_a_terminal_has_job_control_under_strict(as_user: Account) -> None:
    words = as_user.libos("run", "-t", "--syscalls", "strict", "--", "bash", "--norc", "-i")
    program, *arguments = as_user.command(*words)
    shell = pexpect.spawn(
        program,
        arguments,
        env=as_user.environment,
        cwd=str(as_user.folder),
        encoding="utf-8",
        timeout=20,
    )
    shell.sendline("sleep 60 & kill %1; wait %1; echo ended $?; stty size; exit")
    shell.expect("ended 143\r\n")
    shell.expect(r"\d+ \d+\r\n")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


def test_the_command_line_takes_a_profile_and_prints_rules(as_user: Account) -> None:
    done = as_user.run(as_user.libos("run", "--syscalls", "strict", "--", "strace", "-V"))
    assert done.returncode in (0, 127), done.stderr
    shown = as_user.run(as_user.libos("explain", "--syscalls", "strict"))
    assert shown.stdout.startswith("profile strict: ")
    assert "@debug -> EPERM" in shown.stdout
    wrong = as_user.run(as_user.libos("run", "--syscalls", "strct", "--", "true"))
    assert wrong.returncode == 2
    assert 'did you mean "strict"' in wrong.stderr


def told(
    worlds: Worlds, program: str, *calls: str, **syscalls: Any
) -> tuple[list[str], list[dict[str, Any]]]:
    """What calls gave in a world that tells of refusals, and the events."""
    manifest = {"include": ["base"], "syscalls": {"log": True, **syscalls}}
    done = worlds.run(AT, *calls, mounts=[f"{program}:{AT}"], manifest=manifest)
    return [line.split()[1] for line in done.out.splitlines()], done.of_kind("syscall.refused")


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_refused_is_told_and_answered_as_ever(worlds: Worlds, built: str, profile: str) -> None:
    bpf, socket, getpid = (str(number(name)) for name in ("bpf", "socket", "getpid"))
    calls = [f"{bpf}:7", f"{socket}:{AF_VSOCK}:1", f"{socket}:{AF_PACKET}:3", "900", getpid]
    plain = worlds.run(AT, *calls, mounts=[f"{built}:{AT}"], syscalls=profile).out
    errors, events = told(worlds, built, *calls, profile=profile)
    assert errors == [line.split()[1] for line in plain.splitlines()]
    found = [(event["call"], event["arguments"][0], event["error"]) for event in events]
    asked = [each for each in found if each[0] in ("bpf", "socket", "900")]
    assert [each[:2] for each in asked[:3]] == [("bpf", "0x7"), ("socket", "0x28"), ("socket", "0x11")]
    assert [errno.errorcode[int(error)] for error in errors[:4]] == [each[2] for each in asked]
    assert ("getpid" in [event["call"] for event in events]) == (profile == "compute")


def test_refusals_that_pass_are_told_too(worlds: Worlds, built: str) -> None:
    errors, events = told(worlds, built, str(number("getpid")), profile="compute", log="pass")
    assert errors == ["0"]
    assert ("getpid", None) in [(event["call"], event["error"]) for event in events]


def test_a_profile_can_be_learned_from_what_passed(worlds: Worlds) -> None:
    manifest = {"include": ["base"], "syscalls": {"profile": "compute", "log": "pass"}}
    done = worlds.run("cat", "/etc/hosts", manifest=manifest)
    calls = sorted({event["call"] for event in done.of_kind("syscall.refused")})
    assert "openat" in calls and "execve" not in calls
    learned = {"include": ["base"], "syscalls": {"profile": "compute", "allow": calls}}
    assert worlds.run("cat", "/etc/hosts", manifest=learned).out == done.out


def test_what_is_told_does_not_grow_with_what_is_refused(worlds: Worlds, built: str) -> None:
    many = [str(number("bpf"))] * 5_000
    errors, events = told(worlds, built, *many)
    assert set(errors) == {str(errno.EPERM)} and len(errors) == 5_000
    assert sum(event["count"] for event in events) > 2_500
    assert len(events) < 20


def test_listening_is_heard_where_refusals_are_told(worlds: Worlds) -> None:
    code = (
        "import socket, time\ns = socket.create_server(('127.0.0.1', 8000))\n"
        "try: socket.socket(40, 1)\nexcept OSError: pass\ns.accept()"
    )
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", code]},
        "listen": [{"port": 8000, "publish": False}],
        "syscalls": {"log": True},
        "limits": {"time": 2},
    }
    done = worlds.run(manifest=manifest, check=False)
    kinds = [event["kind"] for event in done.events]
    assert "listen.ready" in kinds and "syscall.refused" in kinds


def test_who_ends_the_telling_is_refused_all_the_same(worlds: Worlds) -> None:
    code = (
        "import ctypes, os, signal\n"
        "names = {p: open(f'/proc/{p}/comm').read().strip() for p in os.listdir('/proc') if p.isdecimal()}\n"
        "(hearing,) = (int(p) for p, name in names.items() if name == 'libos hearing')\n"
        "try: os.kill(hearing, signal.SIGKILL)\nexcept PermissionError: pass\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number('bpf')}, 0, 0, 0))"
    )
    manifest = {"include": ["python"], "syscalls": {"log": "pass"}}
    assert worlds.python(code, manifest=manifest, include=[]).out == "-1\n"


async def test_terminals_and_further_programs_are_told_of_too(
    supervisor: libos.Supervisor, built: str
) -> None:
    manifest: dict[str, Any] = {
        "include": ["base"],
        "app": {"command": [AT, "compute"]},
        "mount": [{"at": AT, "host": built}],
        "syscalls": {"profile": "compute", "log": True},
    }
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, stdin=subprocess.PIPE)
        process = await app.exec([AT, str(number("getppid"))], terminal=True)
        async for event in events:
            if event.fields.get("call") == "getppid":
                break
        await process.wait()
        await process.aclose()
        await app.kill()
        await app.aclose()


def test_log_and_a_denial_of_what_it_needs_is_an_error(worlds: Worlds) -> None:
    with pytest.raises(RunError, match="log needs read and write"):
        worlds.run("true", manifest={"include": ["base"], "syscalls": {"log": True, "deny": ["read"]}})
