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
SCOPED = Path(__file__).with_name("scoped.py")
# What each scope keeps inside.
KEPT = {
    (): set(),
    ("signal",): {"kill outside", "kill by pidfd outside"},
    ("abstract",): {"abstract stream outside", "abstract datagram outside"},
}
with_scopes = pytest.mark.skipif(
    landlock.abi() < landlock.ABI_SCOPES, reason="this kernel's Landlock has no scopes (ABI 6)"
)
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


@with_scopes
@pytest.mark.parametrize("scopes", [*KEPT, ("signal", "abstract")])
def test_a_scope_keeps_what_every_capability_reaches_inside_and_nothing_else(
    as_user: Account, scopes: tuple[str, ...]
) -> None:
    done = as_user.run(as_user.python(str(SCOPED), str(as_user.folder), *scopes))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    kept = {name for name, outcome in found.items() if outcome == "EPERM"}
    assert kept == {each for name in scopes for each in KEPT[name,]}
    assert {outcome for name, outcome in found.items() if name not in kept} == {"done"}
    assert len(found) == 10


def test_a_right_that_no_abi_has_is_einval() -> None:
    with pytest.raises(OSError, match="Landlock") as caught:
        landlock.create_ruleset(1 << 60)
    assert caught.value.errno == errno.EINVAL
