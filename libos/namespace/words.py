"""The words of a line of namespace(6): split, then expand variables, then unquote, in this order.

So a value with spaces stays one word, and nothing is expanded inside quotes. Quotes are rc(1)'s: single ones,
and two of them inside quotes are one. The two ways to read differ, as Plan 9's manual and its code do:

|                        | strict                              | compat (libauth/newns.c of 9front)      |
|------------------------|-------------------------------------|-----------------------------------------|
| a variable's name ends | at white space, / $ '               | at white space, / . ! ' $               |
| an unset variable      | an error                            | nothing                                 |
| quotes in a value      | are part of it                      | quote                                   |
| a quote left open      | an error                            | ends with the line                      |
| limits                 | none                                | 14 words a line, 278 bytes a word,      |
|                        |                                     | 27 bytes of a variable's name and value |
| a backslash            | \\n \\r \\0 \\\\ are one character each | is a backslash                          |
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from libos.namespace.errors import GrammarError, VariableError

# newns.c: NARG is 15, and a line that fills the table is dropped; ANAMELEN is 28, an argument has 10 of them.
_MOST_WORDS = 14
_NAME_LENGTH = 28
_WORD_LENGTH = 10 * _NAME_LENGTH - 2

_WORD = re.compile(r"(?:[^ \t\r']|'[^']*(?:'|$))+")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
_UNESCAPED = {escape: character for character, escape in _ESCAPES.items()}
_PLAIN = re.compile(r"[^\s'#$\\]+")


def strict_words(line: str, variables: Mapping[str, str]) -> list[str]:
    """The words of a line. GrammarError, VariableError."""
    words = []
    for word in _WORD.findall(line):
        if word.count("'") % 2:
            raise GrammarError("a quote is not closed: write '' for a quote inside quotes")
        words.append(_unescape(_unquote(_expand(word, "/$'", variables))))
    return words


def compat_words(line: str, variables: Mapping[str, str]) -> list[str] | None:
    """The words of a line as 9front reads it; None for a line that it drops."""
    words = _WORD.findall(line)
    if len(words) > _MOST_WORDS:
        return None
    expanded = [_expand_compat(word, variables) for word in words]
    kept = [_unquote(word) for word in expanded if word is not None]
    return kept if len(kept) == len(words) else None


def quote(word: str) -> str:
    """A word as `strict_words` reads it back."""
    for character, escape in _ESCAPES.items():
        word = word.replace(character, escape)
    if _PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "''") + "'"


def _expand(word: str, ends: str, variables: Mapping[str, str]) -> str:
    expanded = ""
    for part, quoted in _parts(word):
        if quoted:
            expanded += part
            continue
        text, *names = part.split("$")
        expanded += text
        for each in names:
            name = re.split(f"[{re.escape(ends)}]", each)[0]
            if name not in variables:
                raise VariableError(f"the variable ${name} is not set: set it, or quote the dollar sign")
            expanded += quote(variables[name]) + each[len(name) :]
    return expanded


def _expand_compat(word: str, variables: Mapping[str, str]) -> str | None:
    expanded = ""
    for part, quoted in _parts(word):
        if quoted:
            expanded += part
            continue
        text, *names = part.split("$")
        expanded += text
        for each in names:
            name = re.split(r"[/.!'$]", each)[0]
            if len(name.encode()) < _NAME_LENGTH:
                value = variables.get(name, "").split("\0")[0].encode()[: _NAME_LENGTH - 1]
                expanded += value.decode(errors="ignore")
            expanded += each[len(name) :]
    return expanded if len(expanded.encode()) <= _WORD_LENGTH else None


def _parts(word: str) -> list[tuple[str, bool]]:
    """A word in its parts: outside quotes, and inside with the quotes."""
    return [(part, part.startswith("'")) for part in re.findall(r"'[^']*(?:'|$)|[^']+", word)]


def _unquote(word: str) -> str:
    text, inside = "", False
    for index, character in enumerate(word):
        if character != "'":
            text += character
            continue
        # A quote right after a closing one, both inside the same quotes, is a quote: rc(1).
        if not inside and index and word[index - 1] == "'" and _closed(word[:index]):
            text += character
        inside = not inside
    return text


def _closed(before: str) -> bool:
    """Whether the quote at the end of a text closes one, and is not the second of a pair that opens."""
    return before.count("'") % 2 == 0


def _unescape(word: str) -> str:
    return re.sub(r"\\[\\nr0]", lambda match: _UNESCAPED[match[0]], word)
