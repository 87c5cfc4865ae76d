"""Names that an app chose, made harmless for whoever reads them."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Give the text with everything that is not printable escaped: control characters, bidirectional marks,
    bytes that are no UTF-8. A name must not move the cursor, change the colour or pretend to be another
    name."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that could not be decoded: PEP 383
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
