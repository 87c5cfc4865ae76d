"""What was used of a limit, in the units in which a manifest writes it: M is 1024 * 1024 bytes. Pure."""

from __future__ import annotations

_BYTES = ("memory", "disk", "output", "file_size")


def amount(key: str, value: float) -> str:
    """What was used of the limit `key`: of bytes "1.5M", of others the number."""
    return size(value) if key in _BYTES else f"{value:,.6g}"


def size(value: float) -> str:
    """Bytes, as people read them: "1.5M"."""
    for unit in ("", "K", "M", "G"):
        if value < 1024 or unit == "G":
            return f"{value:.0f}" if unit == "" else f"{value:.1f}{unit}"
        value /= 1024
    raise AssertionError("the last unit returns")
