"""Names that an app chose, made harmless for whoever reads them."""

from __future__ import annotations

# Characters that are drawn as nothing and that Python calls printable: Default_Ignorable_Code_Point of
# Unicode's DerivedCoreProperties.txt (UAX 44) without those that `isprintable` knows. U+2800, a braille
# pattern without a dot, is drawn as nothing too.
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def harmless(text: str) -> str:
    """Give the text with everything that cannot be seen escaped: control characters, bidirectional marks,
    what has no width, bytes that are no UTF-8. A name must not move the cursor, change the colour or pretend
    to be another name."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if is_seen(char) else _escape(char) for char in text)


def is_seen(text: str) -> bool:
    """Whether every character of a text is drawn as what it is."""
    return text.isprintable() and _UNSEEN.isdisjoint(text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that could not be decoded: PEP 383
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
