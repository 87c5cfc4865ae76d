"""Which calls can have a handler, and what is said of the others."""

from __future__ import annotations

import errno
import math

import pytest

from libos.errors import ManifestError
from libos.interposing import Answer, Monitor, SystemCall
from libos.interposing.monitor import check, monitor
from libos.syscalls import Wanted


def zero(_call: SystemCall) -> Answer:
    return 0


def test_handlers_stand_by_the_names_of_calls() -> None:
    made = Monitor({"mkdir": zero})
    assert made.on("rmdir", "unlink")(zero) is zero
    assert made.calls == {"mkdir", "rmdir", "unlink"}
    assert monitor(made) is made and monitor({"mkdir": zero}).calls == {"mkdir"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mkdr", 'no system call is named "mkdr", did you mean "mkdir"?'),
        ("@files", "is a group"),
        ("execve", "every program needs it to start"),
        ("mmap", "every program needs it to start"),
        ("futex", "every program needs it to start"),
        ("read", "libos itself needs it"),
        ("clock_gettime", "without the kernel"),
        ("mkdir", "has a handler already"),
    ],
)
def test_what_no_handler_would_be_asked_about_is_an_error(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("?", r"\?")):
        Monitor({"mkdir": zero}).on(name)


def test_a_mapping_that_cannot_be_is_a_wrong_manifest() -> None:
    with pytest.raises(ManifestError, match=r'^on_syscall: "read" cannot be interposed'):
        monitor({"read": zero})


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": math.inf}, {"errno": 0}, {"errno": 5000}, {"most": 0}]
)
def test_terms_that_cannot_be_are_errors(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Monitor(**options)  # type: ignore[arg-type]  # what is tried


def test_a_handler_that_comes_too_late_is_an_error_and_no_silence() -> None:
    made = Monitor({"mkdir": zero})
    check(made, Wanted(), hears=False)
    with pytest.raises(ValueError, match="name all before"):
        made.on("rmdir")


def test_what_the_filter_refuses_has_no_handler() -> None:
    with pytest.raises(ManifestError, match="default refuses mount, and what is refused reaches no handler"):
        check(Monitor({"mount": zero, "mkdir": zero}), Wanted(), hears=False)
    with pytest.raises(ManifestError, match="refuses mkdir"):
        check(Monitor({"mkdir": zero}), Wanted(deny=("mkdir",)), hears=False)
    check(Monitor({"ptrace": zero}), Wanted("strict", allow=("ptrace",)), hears=False)


def test_a_log_and_handlers_do_not_go_together() -> None:
    with pytest.raises(ManifestError, match="leave log out"):
        check(Monitor({"mkdir": zero}), Wanted(log=True), hears=False)


def test_listen_is_heard_by_libos_where_somebody_waits_for_it() -> None:
    check(Monitor({"listen": zero}), Wanted(), hears=False)
    with pytest.raises(ManifestError, match="leave it out"):
        check(Monitor({"listen": zero}), Wanted(), hears=True)


def test_a_failed_handler_is_eio_unless_said() -> None:
    assert (Monitor().errno, Monitor(errno=errno.EPERM).errno) == (errno.EIO, errno.EPERM)
