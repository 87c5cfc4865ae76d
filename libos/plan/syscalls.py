"""System calls in a plan: what is wrong with what is asked, and the line of `libos explain`."""

from __future__ import annotations

from collections.abc import Iterator

from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin
from libos.plan.model import Line
from libos.syscalls import DEFAULT


def syscall_problems(manifest: Manifest) -> Iterator[Problem]:
    """What only the whole of a manifest shows: entries that do not go together, after all its includes."""
    said = manifest.syscalls
    if said.wanted == DEFAULT:
        return
    from libos.syscalls.resolving import resolve

    try:
        resolve(said.wanted)
    except ValueError as wrong:
        yield at_origin(said.origin or manifest.source or "manifest", str(wrong))


def syscalls_line(manifest: Manifest) -> Line:
    """What the app may ask the kernel for, in one line; `libos explain --syscalls` has the rules."""
    wanted, said = manifest.syscalls.wanted, manifest.syscalls
    changes = [f"{name} too" for name in wanted.allow] + [f"not {name}" for name in wanted.deny]
    told = {True: "; refusals are told", "pass": "; refused calls are told of and PASS"}.get(wanted.log, "")
    reason = f"what it does not allow is refused{told}: --syscalls shows the rules"
    asked = ", ".join([f"profile {wanted.profile}", *changes])
    return Line("system calls", asked, "filter", reason, said.origin or "libos")
