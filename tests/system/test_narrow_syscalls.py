"""The profile narrow: ordinary programs do their work by it, and not by less; there is one process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worlds import RunError, Worlds

import libos
from libos.cli.syscall_lines import syscall_lines
from libos.syscalls import Wanted, counting, tables
from libos.syscalls.resolving import resolve

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

HERE = Path(__file__).parent
AT = "/opt/ordinary"
COMMANDS = {
    "static": [f"{AT}/static"],
    "shared": [f"{AT}/shared"],
    "python": ["python3", f"{AT}/ordinary.py"],
}
NARROW = tables.profile("narrow")
# Calls of this machine that the three programs make: each is taken away in turn.
TAKEN = sorted(
    rule.call
    for rule in resolve(Wanted("narrow")).allowed
    if rule.group.name != tables.START and rule.call not in NARROW.kept and rule.call in counting.table()
)


@pytest.fixture(scope="module")
def built() -> Iterator[str]:
    """A folder with the three programs and what they read."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: scripts/system-packages test installs it")
    with tempfile.TemporaryDirectory(prefix="ordinary-") as folder:
        Path(folder).chmod(0o755)
        for name, flags in (("static", ["-static"]), ("shared", [])):
            source = str(HERE / "ordinary.c")
            subprocess.run(
                [compiler, "-O1", *flags, "-pthread", "-o", f"{folder}/{name}", source], check=True
            )
        shutil.copy(HERE / "ordinary.py", folder)
        Path(folder, "line").write_text("well\n")
        yield folder


def run(worlds: Worlds, built: str, program: str, **syscalls: Any) -> Any:
    manifest = {
        "include": ["python"],
        "app": {"directory": "/"},
        "syscalls": {"profile": "narrow", **syscalls},
        "limits": {"time": 60},
    }
    words = [*COMMANDS[program], f"{AT}/line", "/tmp/written"]
    return worlds.run(*words, mounts=[f"{built}:{AT}"], manifest=manifest, check=False)


@pytest.mark.parametrize("program", COMMANDS)
def test_an_ordinary_program_starts_reads_writes_and_ends(worlds: Worlds, built: str, program: str) -> None:
    done = run(worlds, built, program, log=True)
    assert (done.status, done.out) == (0, "42 well\n"), done.err
    (end,) = done.of_kind("app.exit")
    assert end["syscalls"]["passing"] in (29, 30) and end["syscalls"]["known"] > 300
    told = {event["call"]: 0 for event in done.of_kind("syscall.refused")}
    for event in done.of_kind("syscall.refused"):
        told[event["call"]] += event["count"]
    assert end["syscalls"]["told"] == told


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_each_call_is_needed_by_an_ordinary_program(worlds: Worlds, built: str) -> None:
    useless = [call for call in TAKEN if all(works(worlds, built, each, call) for each in COMMANDS)]
    assert useless == []


def works(worlds: Worlds, built: str, program: str, denied: str) -> bool:
    """Whether a program does its work without a call."""
    try:
        done = run(worlds, built, program, deny=[denied])
    except RunError:
        return False
    return (done.status, done.out) == (0, "42 well\n")


async def test_what_it_has_refused_is_counted_while_it_runs(supervisor: libos.Supervisor) -> None:
    code = (
        "import os, sys\ntry: os.getpgid(0)\nexcept PermissionError: print(1, flush=True)\nsys.stdin.read()"
    )
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", code]},
        "syscalls": {"profile": "narrow", "log": True},
    }
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        async for event in events:
            if event.kind == "syscall.refused" and event.fields["call"] == "getpgid":
                break
        counted: Any = (await app.stats())["syscalls"]
        assert counted["told"]["getpgid"] == 1
        (line,) = syscall_lines({"syscalls": counted})
        assert line.startswith(f"system calls: {counted['passing']} of {counted['known']} pass; others")
        await app.aclose()


LOOK = """
import errno, os, socket, subprocess, threading
def said(do):
    try: do()
    except OSError as error: return errno.errorcode[error.errno]
    return "done"
open("/tmp/a", "w").close()
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
print(said(os.fork), said(lambda: subprocess.run(["true"])), said(lambda: os.rename("/tmp/a", "/tmp/b")),
      said(lambda: os.remove("/tmp/a")), said(lambda: os.kill(os.getpid(), 0)),
      said(socket.socket), said(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)))
"""


@pytest.mark.parametrize("network", [False, True])
def test_there_is_one_process_and_a_socket_where_the_manifest_has_a_network(
    worlds: Worlds, network: bool
) -> None:
    manifest: dict[str, Any] = {"include": ["python"], "syscalls": {"profile": "narrow"}}
    manifest["dial"] = [{"to": "tcp!127.0.0.1!1"}] * network
    done = worlds.python(LOOK, manifest=manifest, include=[])
    sockets = "done EAFNOSUPPORT" if network else "EPERM EPERM"
    assert done.out == f"EPERM EPERM EPERM EPERM EPERM {sockets}\n"
