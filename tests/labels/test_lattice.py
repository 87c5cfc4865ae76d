"""Labels: one order of levels, sets of categories, and the two rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.labels import READ_UP, WRITE_DOWN, Label, Lattice, name, ordered, parse

LATTICE = Lattice(("low", "middle", "high"), frozenset("abc"))
LABELS = st.builds(Label, st.sampled_from(LATTICE.levels), st.frozensets(st.sampled_from("abc")))


@given(LABELS)
def test_a_label_is_read_as_it_is_written(label: Label) -> None:
    assert parse(str(label)) == label == LATTICE.label(str(label))


@given(LABELS, LABELS, LABELS)
def test_dominance_is_a_partial_order(one: Label, two: Label, three: Label) -> None:
    dominates = LATTICE.dominates
    assert dominates(one, one) and dominates(one, LATTICE.lowest)
    assert (dominates(one, two) and dominates(two, one)) == (one == two)
    if dominates(one, two) and dominates(two, three):
        assert dominates(one, three)


@given(LABELS, LABELS, LABELS)
def test_nothing_flows_down_over_a_third_one(low: Label, between: Label, high: Label) -> None:
    up = not LATTICE.broken(between, low, reads=True, writes=False)
    on = not LATTICE.broken(between, high, reads=False, writes=True)
    if up and on:
        assert LATTICE.dominates(high, low)


def test_the_rule_that_is_broken_is_said() -> None:
    low, high = Label("low"), Label("high")
    assert LATTICE.broken(low, high, reads=True, writes=False) == READ_UP
    assert LATTICE.broken(high, low, reads=False, writes=True) == WRITE_DOWN
    assert LATTICE.broken(high, low, reads=True, writes=False) == ""
    assert LATTICE.broken(low, Label("low", frozenset("a")), reads=True, writes=True) == READ_UP


def test_several_lists_make_one_order() -> None:
    assert ordered([("a", "c"), ("a", "b", "c")]) == ("a", "b", "c")
    assert ordered([("b",)]) == ("b",)


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        ([("a", "b"), ("b", "a")], 'the levels lead round in a cycle: "'),
        ([("a", "a")], 'the levels lead round in a cycle: "a" < "a"'),
        ([("a", "b"), ("a", "c")], 'no list of levels says which of "'),
    ],
)
def test_what_is_no_order_is_an_error(chains: list[tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ordered(chains)


@pytest.mark.parametrize("text", ["", ":", "a:", "a:b,", "a,b", "a:b:c", "a b", "ä", "1", "a\n"])
def test_what_is_no_label_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        parse(text)


def test_names_that_are_not_declared_are_named() -> None:
    with pytest.raises(ValueError, match=r'no level is named "top"; \[labels\] has low, middle, high'):
        LATTICE.label("top")
    with pytest.raises(ValueError, match=r'no category is named "x"; \[labels\] has a, b, c'):
        LATTICE.label("low:a,x")
    with pytest.raises(ValueError, match='"a b" names no level'):
        name("a b")
