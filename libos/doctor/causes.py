"""Why a step failed, and what mends it: rules from the most telling to the least, the first that fits speaks.

Pure. Each rule names one cause and one remedy. Remedies change the machine as little as the cause allows,
and never give a profile of AppArmor to an interpreter: it would be everybody's.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from libos.doctor.facts import Facts
from libos.kernel import landlock

_REFUSED = (errno.EPERM, errno.EACCES)
# What a container's filter answers, besides.
_BLOCKED = (*_REFUSED, errno.ENOSYS, errno.EINVAL)
_USER_STEPS = ("user namespace", "id maps", "mount namespace", "tmpfs", "the app's user namespace")
# The kind of namespace, as in user.max_<kind>_namespaces, that a step makes.
_KINDS = {
    "user namespace": "user",
    "the app's user namespace": "user",
    "mount namespace": "mnt",
    "pid namespace": "pid",
    "network namespace": "net",
    "ipc namespace": "ipc",
    "uts namespace": "uts",
    "cgroup namespace": "cgroup",
}
# Namespaces of a kind a user; kernels set some 10,000 a GiB of memory by themselves.
_ENOUGH = 10_000
_DOCKER = (
    "start it with --device /dev/fuse --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)


@dataclass(frozen=True)
class Failure:
    """A step that failed: its name, the errno (0 where there is none) and the kernel's or the step's own
    words."""

    step: str
    number: int
    message: str


@dataclass(frozen=True)
class Diagnosis:
    """One cause and one remedy."""

    cause: str
    remedy: str


Rule = Callable[[Failure, Facts], Diagnosis | None]


def diagnose(failure: Failure, facts: Facts) -> Diagnosis:
    """Give the most likely cause and its remedy."""
    for rule in _RULES:
        if found := rule(failure, facts):
            return found
    return Diagnosis(
        f"the kernel answered: {failure.message}",
        "run `libos doctor --json` and report its output with the distribution's name",
    )


def _library(failure: Failure, facts: Facts) -> Diagnosis | None:
    if not failure.step.startswith("library "):
        return None
    library = failure.step.removeprefix("library ")
    missing = {
        "pyfuse3": "run: sudo apt-get install libfuse3-dev pkg-config gcc (or what your distribution has "
        "for libfuse3), then: pip install --force-reinstall --no-cache-dir pyfuse3",
        "libseccomp": "install it: sudo apt-get install libseccomp2 (Fedora, Arch: libseccomp)",
    }
    remedy = missing.get(library, f"install libos again, with {library}, in this Python")
    return Diagnosis(f"{library} cannot be loaded: {failure.message}", remedy)


def _in_a_world(failure: Failure, facts: Facts) -> Diagnosis | None:
    if not facts.in_world:
        return None
    return Diagnosis("this is a world of libos, and its walls forbid a world within", "start it outside")


def _no_fuse_device(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "/dev/fuse" or failure.number not in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return None
    if facts.container in ("docker", "podman"):
        return Diagnosis("the container has no /dev/fuse", "start the container with --device /dev/fuse")
    return Diagnosis("the kernel's FUSE module is not loaded", "run: sudo modprobe fuse")


def _closed_fuse_device(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "/dev/fuse" or failure.number not in _REFUSED:
        return None
    if facts.container in ("docker", "podman"):
        return Diagnosis("the container may not use /dev/fuse", "start the container with --device /dev/fuse")
    return Diagnosis("/dev/fuse is closed to users on this machine", "run: sudo chmod 0666 /dev/fuse")


def _fuse_too_old(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "FUSE mount" or failure.number != errno.ENODEV:
        return None
    return Diagnosis("the kernel's FUSE module is not loaded", "run: sudo modprobe fuse")


def _limit_reached(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.number not in (errno.ENOSPC, errno.EUSERS):
        return None
    lowest = min(facts.limits, key=lambda limit: limit[1], default=("user", 0))
    kind = _KINDS.get(failure.step, lowest[0])
    limit = facts.limit(kind)
    told = f"is {limit}" if limit is not None else "is reached"
    return Diagnosis(
        f"the limit user.max_{kind}_namespaces {told}",
        f"run: sudo sysctl -w user.max_{kind}_namespaces={_ENOUGH}",
    )


def _debian_switch(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step not in _USER_STEPS or failure.number not in _REFUSED or facts.userns_clone != 0:
        return None
    return Diagnosis(
        "user namespaces are switched off for users (kernel.unprivileged_userns_clone is 0)",
        "run: sudo sysctl -w kernel.unprivileged_userns_clone=1",
    )


def _in_a_container(failure: Failure, facts: Facts) -> Diagnosis | None:
    if facts.container not in ("docker", "podman") or failure.number not in (
        *_REFUSED,
        errno.ENOSYS,
        errno.EINVAL,
    ):
        return None
    return Diagnosis(f"{facts.container} keeps this step from its containers", _DOCKER)


def _apparmor(failure: Failure, facts: Facts) -> Diagnosis | None:
    # There unshare(2) itself succeeds; what needs a capability in the new namespace is refused.
    if not facts.apparmor_restricts or facts.uid == 0 or failure.number not in _REFUSED:
        return None
    return Diagnosis(
        "AppArmor takes user namespaces their rights (kernel.apparmor_restrict_unprivileged_userns is 1)",
        "run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    )


def _masked_proc(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "/proc" or failure.number not in _REFUSED or not facts.proc_masked:
        return None
    return Diagnosis(
        "parts of /proc are covered here, and the kernel gives no fresh one then",
        "run libos where /proc is whole; a container needs --security-opt systempaths=unconfined",
    )


def _under_a_filter(failure: Failure, facts: Facts) -> Diagnosis | None:
    if not facts.seccomp_filtered or failure.number not in (*_REFUSED, errno.ENOSYS):
        return None
    return Diagnosis(
        "a seccomp filter of what started this shell refuses the call",
        "start libos outside that sandbox, or let its filter allow clone, unshare, mount and their kin",
    )


def _old_kernel(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.number not in (errno.ENOSYS, errno.EINVAL, errno.ENODEV):
        return None
    return Diagnosis(
        f"this kernel ({facts.kernel}) lacks it: {failure.message}",
        "use Linux 5.12 or newer with its usual options",
    )


def _id_map(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "id-mapped mount":
        return None
    return Diagnosis(
        f"the root file system does not take id-mapped mounts: {failure.message}",
        "start libos as an ordinary user",
    )


def _no_landlock(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step != "Landlock" or facts.landlock >= landlock.ABI_REFER:
        return None
    return Diagnosis(
        "the kernel has no Landlock, or does not start it; worlds run without, and events say so",
        "use Linux 5.19 or newer, with landlock in the kernel's parameter lsm=",
    )


def _closed_userns(failure: Failure, facts: Facts) -> Diagnosis | None:
    if failure.step not in _USER_STEPS or failure.number not in _REFUSED:
        return None
    return Diagnosis(
        "this machine's policy forbids user namespaces to users",
        "ask its administrator to allow them, or start libos as root",
    )


_RULES: tuple[Rule, ...] = (
    _library,
    _no_landlock,
    _in_a_world,
    _no_fuse_device,
    _closed_fuse_device,
    _fuse_too_old,
    _limit_reached,
    _debian_switch,
    _in_a_container,
    _masked_proc,
    _apparmor,
    _under_a_filter,
    _id_map,
    _old_kernel,
    _closed_userns,
)
