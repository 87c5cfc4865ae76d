"""What a check asks of a run, judged by values."""

from __future__ import annotations

from typing import Any

import pytest

from libos.tour.checks import Check, Seen, judge, matches
from libos.tour.verdict import Verdict, score

SEEN = Seen(
    0,
    "exit",
    "hello\nworld\n",
    ({"kind": "path.absent", "path": "/etc/shadow", "count": 1},),
    frozenset(["home/notes"]),
    counts={"calls": 57, "grants": 3},
)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"status": 0}, ""),
        ({"status": 1}, "its exit status is 0, not 1"),
        ({"ended": "time"}, "it was ended by exit, not by time"),
        ({"prints": ("hello", "there")}, "it does not print: there"),
        ({"prints_not": ("there", "world")}, "it prints: world"),
        ({"told": ({"kind": "path.absent", "path": "/etc/*"},)}, ""),
        ({"told": ({"kind": "path.absent", "path": "/var"},)}, "no event path.absent path=/var"),
        ({"told_not": ({"kind": "path.*"},)}, "an event path.*"),
        ({"untouched": ("*.csv",)}, ""),
        ({"at_most": {"calls": 57, "grants": 3}}, ""),
        ({"at_most": {"calls": 56}}, "calls: 57, and not 56 at most"),
        ({"untouched": ("home/*",)}, "it changed home/notes"),
        ({"status": 3, "prints": ("x",)}, "its exit status is 0, not 3; it does not print: x"),
    ],
)
def test_a_check_says_what_is_not_as_it_wants(wanted: dict[str, Any], why: str) -> None:
    checked = judge(Check("so it is", "app", **wanted), SEEN)
    assert (checked.outcome, checked.why) == ("fails" if why else "holds", why)


def test_what_was_not_told_is_not_known_where_events_are_lost() -> None:
    check = Check("it is quiet", "attack", told_not=({"kind": "dial.open"},))
    assert judge(check, Seen(0)).outcome == "holds"
    assert judge(check, Seen(0, lost=3)).why == "more events were told than are kept: 3 are not known"


def test_what_could_not_be_run_fails_every_check() -> None:
    checked = judge(Check("it is quiet", "attack", prints_not=("x",)), Seen(None, error="no such file"))
    assert (checked.outcome, checked.why) == ("fails", "it could not be run: no such file")


def test_a_check_that_raises_is_broken_and_no_manifest_passes_it() -> None:
    odd: Any = Seen(0, output=None)  # type: ignore[arg-type]  # what a fault would look like
    checked = judge(Check("so it is", "app", prints=("x",)), odd)
    assert checked.outcome == "broken"
    assert checked.why.startswith("the check itself failed: TypeError: ")
    verdict = Verdict("stop", (checked,))
    assert verdict.broken
    assert not verdict.passed


@pytest.mark.parametrize(
    ("pattern", "value", "same"),
    [
        ("/etc/*", "/etc/a/b", True),
        ("/etc/*", 3, False),
        (1, 1, True),
        (1, True, False),
        (True, 1, False),
        ("a[", "a[", True),
    ],
)
def test_fields_are_compared_by_pattern_or_by_value(pattern: object, value: object, same: bool) -> None:
    assert matches({"field": pattern}, {"field": value}) is same
    assert not matches({"other": pattern}, {"field": value})


def test_a_stop_passes_with_all_checks_and_not_without_any() -> None:
    holds = judge(Check("so it is", "app", status=0), SEEN)
    fails = judge(Check("so it is", "app", status=1), SEEN)
    assert Verdict("stop", (holds,)).passed
    assert not Verdict("stop", (holds, fails)).passed
    assert not Verdict("stop", ()).passed
    assert not Verdict("stop", (holds,), error="no manifest").passed


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        (1, "1 grant: fewer than the tour's own solution, which has 2"),
        (2, "2 grants: none to spare"),
        (5, "5 grants: 2 are enough"),
    ],
)
def test_the_fewest_grants_are_the_score(grants: int, said: str) -> None:
    assert score(grants, 2) == said
