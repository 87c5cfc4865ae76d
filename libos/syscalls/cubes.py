"""Sets of argument values, as what a seccomp filter can compare: cubes, and partitions into cubes.

A cube says of some arguments which bits they have: {argument: (mask, value)} stands for all calls in which
`argument & mask == value`. A partition splits all calls in two lists of cubes, those that pass a check and
those that fail it; no call is in two cubes. So a filter made of them answers each call in one way, whatever
the order in which libseccomp puts its rules. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

Cube = Mapping[int, tuple[int, int]]

# The kernel reads int arguments by these bits; values of libos.syscalls are all such.
_BITS = 32
LOW_32_BITS = (1 << _BITS) - 1

EVERYTHING: Cube = {}


class Partition(NamedTuple):
    """The calls that pass a check, and those that fail it."""

    passing: tuple[Cube, ...]
    failing: tuple[Cube, ...]

    def inverse(self) -> Partition:
        """The opposite check."""
        return Partition(self.failing, self.passing)

    def only_where(self, condition: Partition) -> Partition:
        """This check where the condition passes; where it fails, everything passes."""
        return Partition(
            (*condition.failing, *both(condition.passing, self.passing)),
            both(condition.passing, self.failing),
        )


def without_bits(argument: int, bits: Iterable[int]) -> Partition:
    """Passes where none of the bits is set. They fail by the first that is, so that no call fails twice."""
    seen, failing = 0, list[Cube]()
    for bit in bits:
        failing.append({argument: (seen | bit, bit)})
        seen |= bit
    return Partition(({argument: (seen, 0)},), tuple(failing))


def only_values(argument: int, values: Collection[int]) -> Partition:
    """Passes where the argument's lower half is one of the values."""
    passing = tuple({argument: (LOW_32_BITS, value)} for value in values)
    return Partition(passing, tuple({argument: each} for each in _others(frozenset(values), 0, 0)))


def both(one: Iterable[Cube], other: Iterable[Cube]) -> tuple[Cube, ...]:
    """The calls that are in a cube of each."""
    others = tuple(other)
    return tuple(each for left in one for right in others if (each := _joined(left, right)) is not None)


def contains(cube: Cube, arguments: Mapping[int, int]) -> bool:
    """Whether a call with these arguments is in the cube; those not given are 0."""
    return all(arguments.get(number, 0) & mask == value for number, (mask, value) in cube.items())


def _joined(left: Cube, right: Cube) -> Cube | None:
    joined = dict(left)
    for number, (mask, value) in right.items():
        other_mask, other_value = joined.get(number, (0, 0))
        if (value ^ other_value) & mask & other_mask:
            return None
        joined[number] = (mask | other_mask, value | other_value)
    return joined


def _others(values: frozenset[int], suffix: int, length: int) -> Iterator[tuple[int, int]]:
    """The masks and values of all numbers that end as `suffix`, `length` bits long, and are no value: as few
    as endings can be, like the routes of a network, from the lowest bit on, where most values differ."""
    if not values:
        yield (1 << length) - 1, suffix
    elif length < _BITS:
        bit = 1 << length
        yield from _others(frozenset(each for each in values if not each & bit), suffix, length + 1)
        yield from _others(frozenset(each for each in values if each & bit), suffix | bit, length + 1)
