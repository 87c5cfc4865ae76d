"""Names, times and sizes as a person reads them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from libos.harmless import harmless

# Characters of a name that are shown: more than most paths have, and a line or two on a page.
LONGEST = 240
# Seconds since the epoch to the end of the year 9999, the last that `datetime` knows.
_LATEST = 253402300799
_MINUTE = 60
_HOUR = 60 * _MINUTE
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def shown(text: str, longest: int = LONGEST) -> str:
    """Give the text with what is not printable escaped; of a long one the beginning, and how long it is."""
    if len(text) <= longest:
        return harmless(text)
    return f"{harmless(text[:longest])}… ({len(text):,} characters)"


def duration(seconds: float) -> str:
    """Give a time span in the unit that suits it."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    if seconds < _HOUR:
        return f"{int(seconds / _MINUTE)} min {int(seconds % _MINUTE)} s"
    return f"{int(seconds / _HOUR)} h {int(seconds % _HOUR / _MINUTE)} min"


def size(count: float) -> str:
    """Give a number of bytes, in powers of 1000."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1000
        if count < 999.5 or unit == _UNITS[-1]:
            return f"{count:.3g} {unit}" if count < 999.5 else f"{count:,.0f} {unit}"
    raise AssertionError


def moment(time: float) -> str:
    """Give a time since the epoch as date and time of day, in UTC."""
    return datetime.fromtimestamp(min(time, _LATEST), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, word: str, words: str = "") -> str:
    """Give a number of things: "1 name", "2 names"."""
    return f"{count:,} {word if count == 1 else words or f'{word}s'}"
