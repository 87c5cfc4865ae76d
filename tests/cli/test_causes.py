"""Each failure has one cause and one remedy, on the machines that people have."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.doctor.causes import Failure, diagnose
from libos.doctor.examine import STEPS
from libos.doctor.facts import Facts

_UBUNTU = Facts(uid=1000, apparmor_restricts=True, kernel="6.8.0")
_DEBIAN_OFF = Facts(uid=1000, userns_clone=0)
_DOCKER = Facts(uid=0, container="docker", fuse_device="absent", seccomp_filtered=True)


@pytest.mark.parametrize(
    ("step", "number", "facts", "cause", "remedy"),
    [
        ("id maps", errno.EPERM, _UBUNTU, "AppArmor", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("tmpfs", errno.EACCES, _UBUNTU, "AppArmor", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user namespace", errno.EPERM, _DEBIAN_OFF, "switched off", "kernel.unprivileged_userns_clone=1"),
        ("user namespace", errno.ENOSPC, Facts(limits=(("user", 0),)), "is 0", "user.max_user_namespaces="),
        ("network namespace", errno.ENOSPC, Facts(limits=(("net", 0),)), "is 0", "user.max_net_namespaces="),
        ("a world's namespaces", errno.ENOSPC, Facts(limits=(("pid", 0), ("net", 9))), "pid", "max_pid"),
        ("/dev/fuse", errno.ENOENT, Facts(), "not loaded", "modprobe fuse"),
        ("/dev/fuse", errno.ENOENT, Facts(in_world=True), "a world of libos", "outside"),
        ("/dev/fuse", errno.EACCES, Facts(uid=1000), "closed", "chmod 0666 /dev/fuse"),
        ("/dev/fuse", errno.ENOENT, _DOCKER, "no /dev/fuse", "--device /dev/fuse"),
        ("/dev/fuse", errno.EPERM, _DOCKER, "may not use", "--device /dev/fuse"),
        ("user namespace", errno.EPERM, _DOCKER, "docker", "seccomp=unconfined"),
        ("FUSE mount", errno.ENODEV, Facts(), "not loaded", "modprobe fuse"),
        ("/proc", errno.EPERM, Facts(proc_masked=True), "covered", "systempaths=unconfined"),
        ("user namespace", errno.EPERM, Facts(uid=1000, seccomp_filtered=True), "seccomp", "outside"),
        ("user namespace", errno.EPERM, Facts(uid=1000), "policy", "administrator"),
        ("overlay", errno.EINVAL, Facts(kernel="5.4.0"), "5.4.0", "5.12"),
        ("id-mapped mount", errno.EINVAL, Facts(), "root file system", "ordinary user"),
        ("library pyfuse3", 0, Facts(), "pyfuse3", "libfuse3"),
        ("library libseccomp", 0, Facts(), "libseccomp", "libseccomp2"),
    ],
)
def test_cause_and_remedy(step: str, number: int, facts: Facts, cause: str, remedy: str) -> None:
    found = diagnose(Failure(step, number, "it failed"), facts)
    assert cause in found.cause
    assert remedy in found.remedy


@given(st.sampled_from(list(STEPS)), st.sampled_from(list(errno.errorcode)), st.builds(Facts))
def test_every_failure_has_a_cause_and_a_remedy(step: str, number: int, facts: Facts) -> None:
    found = diagnose(Failure(step, number, "it failed"), facts)
    assert found.cause and found.remedy


@given(st.sampled_from(list(STEPS)), st.sampled_from(list(errno.errorcode)))
def test_nobody_is_told_to_give_a_profile_to_an_interpreter(step: str, number: int) -> None:
    assert "/etc/apparmor.d" not in diagnose(Failure(step, number, "it failed"), _UBUNTU).remedy
