"""System calls in a plan: what is wrong with what is asked, and the line of `libos explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, at_origin
from libos.namespace import ServiceSource
from libos.plan.model import Line
from libos.syscalls import DEFAULT, Wanted


def wanted_calls(manifest: Manifest) -> Wanted:
    """What is asked for of system calls; for a profile that has sockets only with a network, whether the
    manifest has one: a dial, a listen or a service. An unknown profile is left to `syscall_problems`."""
    wanted = manifest.syscalls.wanted
    if wanted.profile == DEFAULT.profile:
        return wanted
    from libos.syscalls import tables

    if wanted.profile not in tables.profile_names() or not tables.profile(wanted.profile).network:
        return wanted
    services = any(isinstance(mount.source, ServiceSource) for mount in manifest.mounts)
    return replace(wanted, network=bool(manifest.dials or manifest.listens or services))


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
    wanted, said = wanted_calls(manifest), manifest.syscalls
    changes = ["with a network"] * wanted.network
    changes += [f"{name} too" for name in wanted.allow] + [f"not {name}" for name in wanted.deny]
    told = {True: "; refusals are told", "pass": "; refused calls are told of and PASS"}.get(wanted.log, "")
    reason = f"what it does not allow is refused{told}: --syscalls shows the rules"
    asked = ", ".join([f"profile {wanted.profile}", *changes])
    return Line("system calls", asked, "filter", reason, said.origin or "libos")
