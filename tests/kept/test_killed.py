"""A commit or a discard that is killed after any of its steps."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from scene import NAME, Scene, Snapshot, snapshot

from libos.kept import ChangesError, changes, faults

pytest_plugins = ["kept_scene"]

# More than the steps that any of these takes.
LIMIT = 200


def killed_after(steps: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed (SIGKILL) once so many steps are done; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            left = steps

            def count(_step: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            faults.listener = count
            work()
            os._exit(0)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), "the child failed"
    return code != 0


def each_is_old_or_new(host: Path, before: Snapshot, after: Snapshot) -> None:
    """Every path holds what it held before or what it holds after, whole; besides them only temporaries."""
    for path, found in snapshot(host).items():
        if ".libos-" not in path:
            assert found in (before.get(path), after.get(path)), path
    for path in before.keys() & after.keys():
        assert os.path.lexists(host / path), path


def committed(tmp_path: Path) -> tuple[Snapshot, int]:
    """What a commit that nobody interrupts gives, and the number of its steps."""
    scene = Scene(tmp_path / "whole")
    seen: list[str] = []
    faults.listener = seen.append
    try:
        assert len(changes(NAME).commit()) == 0
    finally:
        faults.listener = faults.nobody
    changes(NAME).discard()
    return snapshot(scene.host), len(seen)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.brief])])
def test_a_killed_commit_leaves_each_file_old_or_new_and_the_next_call_makes_it_whole(
    state: Path, tmp_path: Path, every: int
) -> None:
    after, steps = committed(tmp_path)
    assert 40 < steps < LIMIT
    ends = set()
    for step in range(1, steps + 1, every):
        scene = Scene(tmp_path / f"host{step}")
        listed = list(changes(NAME))
        assert killed_after(step, lambda: changes(NAME).commit()), step
        each_is_old_or_new(scene.host, scene.before, after)
        # The call that mends it is killed too, at a step that differs from round to round.
        killed_after(1 + step % 7, lambda: changes(NAME))
        each_is_old_or_new(scene.host, scene.before, after)
        left = changes(NAME)
        now = snapshot(scene.host)
        assert now in (scene.before, after), f"step {step}: neither undone nor finished"
        assert [(each.kind, each.path) for each in left] == (
            [(each.kind, each.path) for each in listed] if now == scene.before else []
        )
        ends.add(now == after)
        assert len(left.commit()) == 0
        assert snapshot(scene.host) == after
        left.discard()
    assert ends == {False, True}  # some were undone, some finished


def test_a_commit_that_is_not_killed_takes_every_step_that_is_tested(state: Path, tmp_path: Path) -> None:
    _, steps = committed(tmp_path)
    Scene(tmp_path / "host")
    assert not killed_after(steps + 1, lambda: changes(NAME).commit())


def test_a_killed_discard_touches_nothing_of_the_host_and_can_be_done_again(
    state: Path, tmp_path: Path
) -> None:
    for step in range(1, LIMIT):
        scene = Scene(tmp_path / f"host{step}")
        listed = {(each.kind, each.path) for each in changes(NAME)}
        killed = killed_after(step, lambda: changes(NAME).discard(["opaque", "tree/y", "new", "renamed*"]))
        assert snapshot(scene.host) == scene.before
        left = {(each.kind, each.path) for each in changes(NAME)}
        # What was not named is still there, whatever the kill left of the rest.
        named = ("/work/opaque", "/work/tree", "/work/new", "/work/renamed")
        assert {each for each in listed if not each[1].startswith(named)} <= left
        changes(NAME).discard()
        if not killed:
            assert step > 5
            return
    raise AssertionError("the discard never ended")


def test_a_killed_removal_of_all_has_removed_the_name_and_the_next_one_removes_the_rest(
    state: Path, tmp_path: Path
) -> None:
    for step in range(1, LIMIT):
        scene = Scene(tmp_path / f"host{step}")
        killed = killed_after(step, lambda: changes(NAME).discard())
        assert snapshot(scene.host) == scene.before
        with pytest.raises(ChangesError, match="no changes are kept"):
            changes(NAME)
        if not killed:
            assert list((state / "libos/changes").iterdir()) == []
            return
    raise AssertionError("the discard never ended")
