"""Landlock as the second wall: alone, against a program that has every right in its namespaces."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from accounts import Account

from libos.kernel import landlock

pytestmark = pytest.mark.skipif(
    landlock.abi() < landlock.ABI_REFER, reason="this kernel has no Landlock from ABI 2 up"
)

PROGRAM = Path(__file__).with_name("enclosed.py")
HARMLESS = ("read and write", "move between directories", "a FIFO", "command a device of /dev")


def outcomes(account: Account, how: str) -> dict[str, str]:
    folder = account.folder / how
    folder.mkdir()
    os.chown(folder, account.uid, -1)
    done = account.run(account.python(str(PROGRAM), str(folder), how))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_it_stops_what_every_capability_allows_and_leaves_the_rest(as_user: Account) -> None:
    bare = outcomes(as_user, "bare")
    assert set(bare.values()) == {"done"}
    behind = outcomes(as_user, "behind")
    stopped = {name for name, outcome in behind.items() if outcome in ("EPERM", "EACCES")}
    expected = set(bare) - set(HARMLESS)
    if landlock.abi() < landlock.ABI_IOCTL_DEV:
        expected.discard("command a device")
    assert stopped == expected, behind
    assert {behind[name] for name in HARMLESS} == {"done"}


def test_a_right_that_no_abi_has_is_einval() -> None:
    with pytest.raises(OSError, match="Landlock") as caught:
        landlock.create_ruleset(1 << 60)
    assert caught.value.errno == errno.EINVAL
