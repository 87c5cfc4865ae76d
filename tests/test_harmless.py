"""Names are shown so that nothing in them is obeyed, and nothing unseen."""

from __future__ import annotations

import tomllib
import unicodedata

import pytest

from libos.harmless import harmless, is_seen
from libos.why.remedies import quoted

# As what an app names may be: obeyed by terminals, of no width, or blank.
UNSEEN = (
    *("\x00", "\x1b", "\n", "\x7f", "\x85", "\x9b", "\xad", "\u034f", "\u115f", "\u180b", "\u200b", "\u2028"),
    *("\u202e", "\u2066", "\u2800", "\u3164", "\ufe0f", "\ufeff", "\uffa0", "\U000e0001", "\U000e0100"),
)
TEXTS = (*UNSEEN, '"', "\\", "a\u202e\U0001f600", '" # "\nhost = "/', "gr\u00fcn")


@pytest.mark.parametrize("char", UNSEEN, ids=ascii)
def test_what_cannot_be_seen_is_escaped(char: str) -> None:
    shown = harmless(f"a{char}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert not is_seen(char)


@pytest.mark.parametrize("text", ["/usr/bin", "a b", "gr\u00fcn", "\u65e5\u672c", "\U0001f600", "e\u0301"])
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_a_byte_that_is_no_text_is_shown_as_a_byte() -> None:
    assert harmless("\udcff") == "\\xff"


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_in_toml_is_that_text_and_nothing_unseen(text: str) -> None:
    shown = quoted(text)
    assert tomllib.loads(f"key = {shown}") == {"key": text}
    assert is_seen(shown)
    assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in shown)
