"""seccomp's notifications by themselves: without who answers, and under another filter."""

from __future__ import annotations

import json
import subprocess
import sys

# Loads a filter that notifies of getppid(2), then what its argument says; prints what getppid gives.
CHILD = """
import ctypes, errno, json, os, struct, sys, threading
from libos.kernel import notifications, process
libc = ctypes.CDLL(None, use_errno=True)
GETPPID = {"x86_64": 110, "aarch64": 173}[os.uname().machine]
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]
NOTIFY, ALLOW, ERRNO = 0x7FC00000, 0x7FFF0000, 0x00050000
def program(answer):
    code = [(0x20, 0, 0, 4), (0x15, 0, 3, ARCHITECTURE), (0x20, 0, 0, 0), (0x15, 0, 1, GETPPID),
            (0x06, 0, 0, answer), (0x06, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *each) for each in code)
def getppid():
    result = libc.syscall(GETPPID)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
process.set_no_new_privileges()
way = sys.argv[1]
if way == "under":
    process.load_seccomp_filter(program(ERRNO | errno.EACCES))
listener_fd = notifications.install(program(NOTIFY))
if way == "over":
    process.load_seccomp_filter(program(ERRNO | errno.EACCES))
if way == "allowed":
    process.load_seccomp_filter(program(ALLOW))
if way == "twice":
    try: notifications.install(program(NOTIFY))
    except OSError as error: print(json.dumps(errno.errorcode[error.errno]))
    sys.exit()
if way == "unanswered":
    os.close(listener_fd)
asked = []
def answer():
    heard = notifications.receive(listener_fd)
    asked.append(heard.number == GETPPID)
    notifications.answer_with(listener_fd, heard.id, 4242)
if way not in ("unanswered", "over", "under"):
    threading.Thread(target=answer, daemon=True).start()
print(json.dumps([getppid(), asked]))
"""


def child(way: str) -> object:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, way], capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(done.stdout)


def test_a_call_is_answered_by_value() -> None:
    assert child("answered") == [4242, [True]]


def test_without_who_answers_a_call_is_enosys() -> None:
    assert child("unanswered") == ["ENOSYS", []]


def test_a_refusal_of_another_filter_comes_first_whichever_was_loaded_first() -> None:
    assert child("over") == child("under") == ["EACCES", []]


def test_a_filter_that_allows_the_call_takes_no_question_away() -> None:
    assert child("allowed") == [4242, [True]]


def test_a_second_listener_is_refused() -> None:
    assert child("twice") == "EBUSY"
