"""Interposed system calls as lines, in the manner of strace."""

from __future__ import annotations

from typing import Any

import pytest

from libos.events import Event
from libos.seen.lines import said

CALL = {"call": "mkdir", "arguments": ["0x10", "0x1ff"], "process": 3, "program": "sh", "seconds": 0.1}


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"answer": "value", "value": 0}, "0"),
        ({"answer": "descriptor", "value": 5}, "5"),
        ({"answer": "error", "error": "EROFS"}, "EROFS"),
        ({"answer": "continue"}, "continue"),
        ({"answer": "gone"}, "gone"),
        ({"answer": "error", "error": "EIO", "fault": "KeyError: 1"}, "EIO (KeyError: 1)"),
    ],
)
def test_what_was_asked_and_what_was_answered(answer: dict[str, Any], shown: str) -> None:
    line = said(Event("syscall.call", "w", {**CALL, **answer}))
    assert line == f"mkdir(0x10, 0x1ff) = {shown} process=3 program=sh seconds=0.1"
