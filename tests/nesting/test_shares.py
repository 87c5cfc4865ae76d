"""What is left of a world's limits for one below it, by values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from libos.branch import Branch
from libos.errors import SupervisorError
from libos.limits.deciding import OWN_PROCESSES
from libos.manifest.model import Limits
from libos.nesting.shares import beyond_limits, processors

NOTHING: Mapping[str, Any] = MappingProxyType({})


def above(**limits: object) -> Branch:
    return Branch("build", Limits(**{"children": 5, **limits}))  # type: ignore[arg-type]  # keys of Limits


def below(parent: Branch, name: str = "build/x", limits: Mapping[str, Any] = NOTHING) -> Branch:
    branch = Branch(name, Limits(**limits))
    branch.join(parent)
    return branch


def beyond(parent: Branch, **limits: object) -> list[str]:
    return list(beyond_limits(Limits(**limits), parent))  # type: ignore[arg-type]  # keys of Limits


def test_without_limits_above_none_must_be_said() -> None:
    assert beyond(above()) == []
    assert beyond(above(), memory=1 << 40, processes=9) == []


@pytest.mark.parametrize(
    "key, most, small", [("memory", 100, 60), ("processes", 100, 60), ("cpus", 2.0, 1.5)]
)
def test_what_is_divided_is_never_more_than_the_whole(key: str, most: float, small: float) -> None:
    parent = above(**{key: most})
    assert f"limits.{key} must be said" in beyond(parent)[0]
    assert beyond(parent, **{key: small}) == []
    first = below(parent, limits={key: small})
    assert f"limits.{key} must be said" in beyond(parent, **{key: small})[0]
    first.leave()
    assert beyond(parent, **{key: small}) == []


def test_processes_of_libos_itself_are_counted_in_each_world() -> None:
    parent = above(processes=20)
    assert beyond(parent, processes=20 - OWN_PROCESSES) == []
    assert beyond(parent, processes=20 - OWN_PROCESSES + 1)
    below(parent, limits={"processes": 10})
    assert beyond(parent, processes=20 - 10 - 2 * OWN_PROCESSES + 1)


@pytest.mark.parametrize("key", ["cpu_share", "cpu_time", "open_files", "file_size", "disk", "output"])
def test_what_holds_each_alone_is_at_most_as_above_for_any_number(key: str) -> None:
    parent = above(**{key: 100})
    for _ in range(3):
        assert beyond(parent, **{key: 100}) == []
        below(parent, limits={key: 100})
    assert beyond(parent, **{key: 101})
    assert beyond(parent)


def test_processors_are_a_part_of_those_above() -> None:
    assert processors("0-2,5") == {0, 1, 2, 5}
    parent = above(cpuset="0-3")
    assert beyond(parent, cpuset="1,2-3") == []
    assert beyond(parent, cpuset="3-4")
    assert beyond(parent)


def test_a_class_of_latency_is_no_higher_than_above() -> None:
    parent = above(latency="normal")
    assert [beyond(parent, latency=each) == [] for each in ("best-effort", "normal", "priority")] == [
        True,
        True,
        False,
    ]
    assert beyond(parent)
    assert beyond(above(), latency="priority") == []


def test_worlds_are_counted_at_every_depth_and_none_is_the_default() -> None:
    assert beyond(Branch("a"))
    top = Branch("a", Limits(children=3))
    middle = below(top, "a/b", {"children": 2})
    below(middle, "a/b/c")
    assert beyond(middle) == []
    below(top, "a/d")
    assert ['"a" may have 3 worlds' in each for each in beyond(middle)] == [True]
    assert "at most 2" in beyond(Branch("x", Limits(children=3)), children=3)[0]


def test_a_branch_that_is_closed_ends_all_below_it_and_takes_nobody_in() -> None:
    ended = []
    top = Branch("a")
    for name in ("a/b", "a/b/c"):
        branch = below(top if name == "a/b" else top.below[0], name)
        branch.end = lambda name=name: ended.append(name)  # type: ignore[misc]  # bound now
    top.close()
    assert sorted(ended) == ["a/b", "a/b/c"]
    with pytest.raises(SupervisorError, match="has ended"):
        Branch("a/z").join(top)


def test_who_leaves_last_leaves_the_one_above_empty() -> None:
    told = []
    top = Branch("a")
    first, second = below(top, "a/b"), below(top, "a/c")
    first.left.append(lambda: told.append("left"))
    assert first.leave() is None
    assert first.leave() is None
    assert told == ["left"]
    assert second.leave() == "a"
    assert top.size() == 0
