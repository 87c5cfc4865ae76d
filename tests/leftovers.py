"""What a test run leaves behind on the machine: mounts, namespaces, processes, socket files.

Rules:
- Only what this run made counts: others may work on the machine at the same time, another half of this
  suite too. Processes are recognised by a mark that they inherit, and control sockets stand in a folder of
  the run's own.
- The mark is the soft RLIMIT_RTTIME: it survives fork, exec, setsid, a new user and any namespace, everybody
  may read it in /proc/<pid>/limits, libos changes it for no program of a world, and nothing here runs
  for long in real time (sched(7)).
- A process that is about to die gets a moment; it is waited for by a pidfd and not by sleeping.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

# Seconds that processes get to finish dying. They take milliseconds, but on a busy machine.
GRACE = 20.0


def mark_this_process() -> int:
    """Mark the calling process and all that it will start; gives the mark."""
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    mark = 100_000 + os.getpid() % 700_000
    resource.setrlimit(resource.RLIMIT_RTTIME, (mark, hard))
    return mark


def _marked(pid: int, mark: int) -> bool:
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
    except OSError:  # gone meanwhile
        return False
    return any(
        line.startswith("Max realtime timeout") and line.split()[3] == str(mark)
        for line in limits.splitlines()
    )


def marked_processes(mark: int) -> list[int]:
    """The living processes (no zombies) that carry the mark, but for the calling one."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return [pid for pid in pids if pid != os.getpid() and _marked(pid, mark) and _state(pid) != "Z"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def describe(pid: int) -> str:
    """The process's command line, state and the test that started it, as far as this user may know."""
    try:
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        command, environment = "", []
    test = next(
        (e.decode(errors="replace") for e in environment if e.startswith(b"PYTEST_CURRENT_TEST=")), ""
    )
    return f"process {pid} ({_state(pid)}) {command or '?'} {test}".rstrip()


def wait_until_gone(pids: list[int], seconds: float = GRACE) -> list[int]:
    """Wait for the processes to end; gives those that still live when the time is over."""
    end = time.monotonic() + seconds
    return [pid for pid in pids if not _ended(pid, end)]


def _ended(pid: int, end: float) -> bool:
    try:
        pid_fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([pid_fd], [], [], max(0.0, end - time.monotonic()))
        return bool(ready)
    finally:
        os.close(pid_fd)


def mount_table() -> set[str]:
    """The mounts of this process's mount namespace and, where it may be read, of the machine's."""
    found = set()
    for process in ("self", "1"):
        try:
            text = Path(f"/proc/{process}/mountinfo").read_text()
        except OSError:  # not readable for an ordinary user
            continue
        for line in text.splitlines():
            fields = line.split()
            kind = fields[fields.index("-") + 1]
            found.add(f"mount {fields[4]} ({kind})")
    return found


def held_namespaces() -> set[str]:
    """Namespaces and FUSE connections held by a descriptor of this process, and named network namespaces."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:  # the listing's own descriptor
            continue
        if target.startswith(("net:[", "mnt:[", "user:[", "pid:[")) or target == "/dev/fuse":
            found.add(f"descriptor {entry} -> {target}")
    if os.path.isdir("/run/netns"):
        found |= {f"network namespace /run/netns/{name}" for name in os.listdir("/run/netns")}
    return found


def own_runtime_folder() -> Path:
    """A fresh folder as this run's XDG_RUNTIME_DIR, in which what it starts has its control sockets. It is
    in /tmp whatever TMPDIR says, since an address has 107 bytes (unix(7))."""
    folder = Path(tempfile.mkdtemp(prefix="libos-suite-", dir="/tmp"))
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    return folder


def socket_files(folder: Path) -> set[str]:
    """The socket files below a folder."""
    return {f"socket file {path}" for path in folder.rglob("*") if path.is_socket()}


@dataclass
class Before:
    """The machine when the run began; `leftovers()`, asked once, says what came since and is still there."""

    mark: int = field(default_factory=mark_this_process)
    mounts: set[str] = field(default_factory=mount_table)
    namespaces: set[str] = field(default_factory=held_namespaces)
    runtime: Path = field(default_factory=own_runtime_folder)

    def leftovers(self, seconds: float = GRACE) -> list[str]:
        alive = wait_until_gone(marked_processes(self.mark), seconds)
        found = {describe(pid) for pid in alive}
        found |= mount_table() - self.mounts
        found |= held_namespaces() - self.namespaces
        found |= socket_files(self.runtime)
        shutil.rmtree(self.runtime, ignore_errors=True)
        return sorted(found)
