"""The examination: every step tried in a child process, each failure with one cause and one remedy."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from libos.doctor.causes import Failure, diagnose
from libos.doctor.facts import Facts, read_facts
from libos.keeper import second, subids

_ENTRY = str(Path(__file__).parent / "__main__.py")
# Seconds for all steps; they take a tenth of a second. A kernel that hangs in one is itself a finding.
_TIMEOUT = 20.0

# Every step in the order in which it is tried: what a world has it for, and whether it can do without.
STEPS: dict[str, tuple[str, bool]] = {
    "library pyfuse3": ("serves files", True),
    "library libseccomp": ("builds the filter of system calls", True),
    "/dev/fuse": ("serves files", True),
    "id-mapped mount": ("lets root's app use root's files without being root", True),
    "user namespace": ("holds everything else, without root", True),
    "id maps": ("give the app its user", True),
    "mount namespace": ("holds a view of files", True),
    "tmpfs": ("files in memory", True),
    "FUSE mount": ("serves files", True),
    "overlay": ("copy-on-write mounts", False),
    "pid namespace": ("hides other processes", True),
    "network namespace": ("a network of its own", True),
    "ipc namespace": ("hides shared memory", True),
    "uts namespace": ("a host name of its own", True),
    "cgroup namespace": ("hides the host's groups", True),
    "a world's namespaces": ("all of them in one call", True),
    "network": ("lo up, every address local", True),
    "/proc": ("shows the world's own processes", True),
    "terminals": ("a terminal of the world's own", True),
    "sub-ids": ("more than uid 0 for a root inside", False),
    "the app's user namespace": ("takes the app every right over its world", True),
    "Landlock": ("a second wall: mounts, tracing, devices, files of libos run", False),
    "seccomp filter": ("closes dangerous system calls", True),
}

_LIBRARIES = {
    "library pyfuse3": "import pyfuse3, trio",
    "library libseccomp": "from libos.syscalls.compiling import compiled_here; compiled_here()",
}


@dataclass(frozen=True)
class Finding:
    """What came of one step. `ok` is None where it could not be tried, because an earlier one failed."""

    step: str
    purpose: str
    required: bool
    ok: bool | None
    error: str | None = None
    cause: str | None = None
    remedy: str | None = None


def examine() -> list[Finding]:
    """Try every step and give what was found, in order. Takes about half a second; changes nothing."""
    facts = read_facts()
    results = {**_try_libraries(), **_try_steps()}
    others = "sub-ids" if facts.serves_root else "id-mapped mount"
    return [
        _sub_ids() if step == "sub-ids" else _finding(step, results.get(step), facts)
        for step in STEPS
        if step != others
    ]


def remedy() -> str:
    """Give cause and remedy of the first failure, as an error's last sentence; empty where nothing failed."""
    failed = next((finding for finding in examine() if finding.ok is False and finding.required), None)
    return f". Cause: {failed.cause}. Remedy: {failed.remedy}" if failed else ""


def worlds_can_run(findings: list[Finding]) -> bool:
    """Whether every step that a world cannot do without succeeded."""
    return all(finding.ok for finding in findings if finding.required)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Give the findings as JSON values."""
    return {
        "version": 1,
        "ok": worlds_can_run(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def _finding(step: str, failure: Failure | None, facts: Facts) -> Finding:
    purpose, required = STEPS[step]
    if failure is None:
        return Finding(step, purpose, required, ok=None)
    if not failure.message:
        if step == "Landlock":
            held = f"{second.holds(facts.landlock)}; and around libos run, its files"
            purpose = f"a second wall: {held} (ABI {facts.landlock})"
        return Finding(step, purpose, required, ok=True)
    diagnosis = diagnose(failure, facts)
    return Finding(step, purpose, required, False, failure.message, diagnosis.cause, diagnosis.remedy)


def _sub_ids() -> Finding:
    """What an ordinary user is given (subuid(5)). To have none is no fault of a machine."""
    purpose, required = STEPS["sub-ids"]
    if lack := subids.offer().lack:
        purpose = f"none: a root inside has uid 0 alone; {lack}"
    return Finding("sub-ids", purpose, required, ok=True)


def _try_libraries() -> dict[str, Failure]:
    """Load each library in a process of its own: one that is broken may take the process with it."""
    found = {}
    for step, program in _LIBRARIES.items():
        done = _run([sys.executable, "-c", program])
        words = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        found[step] = Failure(step, 0, words[-1] if done.returncode else "")
    return found


def _try_steps() -> dict[str, Failure]:
    done = _run([sys.executable, "-I", "-S", _ENTRY])
    found = {}
    for line in done.stdout.splitlines():
        report = json.loads(line)
        found[report["step"]] = Failure(report["step"], report["errno"], report["message"])
    return found


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input="",  # a pipe: /dev/null itself may be missing
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        printed = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        # The last line may be cut.
        whole = printed[: printed.rfind("\n") + 1]
        return subprocess.CompletedProcess(command, -errno.ETIMEDOUT, whole, os.strerror(errno.ETIMEDOUT))
