"""Words of a line: rc's quotes, variables as the manual and as the code has them, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libos.namespace.errors import GrammarError, VariableError
from libos.namespace.words import compat_words, quote, strict_words

VALUES = {"user": "glenda", "spaced": "a b", "quoted": "it's", "empty": ""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bind a b", ["bind", "a", "b"]),
        ("bind \t a\r b", ["bind", "a", "b"]),
        ("'a b' c", ["a b", "c"]),
        ("'it''s'", ["it's"]),
        ("''''", ["'"]),
        ("a'b c'd", ["ab cd"]),
        ("''", [""]),
        ("a#b #c", ["a#b", "#c"]),  # no comment after the beginning of a line
        ("$user", ["glenda"]),
        ("/usr/$user/bin", ["/usr/glenda/bin"]),
        ("$user$user", ["glendaglenda"]),
        ("$spaced", ["a b"]),  # split comes before expand
        ("'$user'", ["$user"]),
        ("$user'$user'", ["glenda$user"]),
        ("x$empty", ["x"]),
    ],
)
def test_words_that_both_ways_read_alike(line: str, words: list[str]) -> None:
    assert strict_words(line, VALUES) == words
    assert compat_words(line, VALUES) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("$user.txt", ["glenda.txt"]),  # the code ends a name at . and ! too
        ("tcp!$user!9fs", ["tcp!glenda!9fs"]),
        ("x$unset", ["x"]),
        ("'a b", ["a b"]),
        ("$quoted", ["its"]),  # unquote comes after expand
        (r"a\n", [r"a\n"]),
        ("$" + "n" * 28 + "/x", ["/x"]),
        ("$long", ["v" * 27]),
        ("$list", ["first"]),
    ],
)
def test_words_that_9front_reads_its_own_way(line: str, words: list[str]) -> None:
    assert compat_words(line, VALUES | {"long": "v" * 40, "list": "first\0second", "n" * 28: "no"}) == words


def test_a_value_is_taken_as_it_is_by_strict() -> None:
    assert strict_words("$quoted $nasty", VALUES | {"nasty": "a\\n'$user"}) == ["it's", "a\\n'$user"]


def test_the_limits_of_9front_drop_the_line() -> None:
    assert compat_words(" ".join(["a"] * 14), {}) == ["a"] * 14
    assert compat_words(" ".join(["a"] * 15), {}) is None
    assert compat_words("a" * 278, {}) == ["a" * 278]
    assert compat_words("a" * 279, {}) is None
    assert strict_words(" ".join(["a" * 300] * 15), {}) == ["a" * 300] * 15


@pytest.mark.parametrize("line", ["$unset", "$user.txt", "$user!", "$"])
def test_a_variable_that_is_not_set_is_an_error(line: str) -> None:
    with pytest.raises(VariableError, match=r"the variable \$.* is not set"):
        strict_words(line, VALUES)


@pytest.mark.parametrize("line", ["'a", "a '", "'a''"])
def test_a_quote_that_is_not_closed_is_an_error(line: str) -> None:
    with pytest.raises(GrammarError, match="a quote is not closed"):
        strict_words(line, {})


@given(st.lists(st.text(), max_size=6))
def test_what_is_quoted_is_read_back(words: list[str]) -> None:
    line = " ".join(map(quote, words))
    assert "\n" not in line
    assert strict_words(line, {}) == words


@given(st.text(alphabet="a '$/.!\\n", max_size=30))
def test_any_line_is_words_or_an_error(line: str) -> None:
    compat_words(line, {})
    try:
        strict_words(line, {"a": "b"})
    except (GrammarError, VariableError) as error:
        assert str(error)
