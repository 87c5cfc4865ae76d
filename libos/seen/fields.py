"""The fields of an event by their types: what a file says may be anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping

Fields = Mapping[str, object]


def text(fields: Fields, key: str) -> str:
    """A text; "" where it is none."""
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def number(fields: Fields, key: str) -> float:
    """A number that is not negative; 0 where it is none."""
    value = fields.get(key)
    return value if isinstance(value, (int, float)) and 0 <= value < 1 << 63 else 0


def whole(fields: Fields, key: str) -> int | None:
    """A whole number, or None."""
    value = fields.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def times(fields: Fields) -> int:
    """How many equal things an event stands for: its `count`, at least 1."""
    return max(1, whole(fields, "count") or 1)


def tables(fields: Fields, key: str) -> list[Fields]:
    """The objects in a list; what is none is left out."""
    value = fields.get(key)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def texts(fields: Fields, key: str) -> tuple[str, ...]:
    """The texts in a list; what is none is left out."""
    value = fields.get(key)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, (list, tuple)) else ()
