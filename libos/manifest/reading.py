"""Reading a manifest file into a document.

Reading fails with one `UnreadableError` (a `ManifestError`) that names the file and the remedy: a directory,
a file that cannot be read, one that is too large, not UTF-8, or not TOML.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from libos.manifest.document import Document
from libos.manifest.positions import Positions
from libos.manifest.problems import Problem, UnreadableError

# Bytes. A manifest is written by hand, in a few KiB; what is larger is another file.
SIZE_LIMIT = 1 << 20

# Set by `noted` and `given`: who loads for somebody else's process hands the files over.
_noted: ContextVar[dict[str, str] | None] = ContextVar("noted", default=None)
_given: ContextVar[Mapping[str, str] | None] = ContextVar("given", default=None)
_TOML_PLACE = re.compile(r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", re.DOTALL)


def read_document(path: str, shown: str | None = None) -> Document:
    """The document in a file; `shown` is the name to use in messages. UnreadableError as the module says."""
    source = shown or path
    text = _decode(_read(path, source), source)
    raw = _parse(text, source)
    return Document(source, raw, os.path.dirname(os.path.abspath(path)), _positions(text), is_file=True)


def read_text(path: str, shown: str) -> str:
    """The text of a file that is read with a manifest. UnreadableError as the module says."""
    return _decode(_read(path, shown), shown)


@contextmanager
def noted() -> Iterator[dict[str, str]]:
    """Note what is read in the block: the text of each file by its absolute path."""
    files: dict[str, str] = {}
    token = _noted.set(files)
    try:
        yield files
    finally:
        _noted.reset(token)


@contextmanager
def given(files: Mapping[str, str]) -> Iterator[None]:
    """Have these texts read in the block, by their absolute paths, and no other file."""
    token = _given.set(files)
    try:
        yield
    finally:
        _given.reset(token)


def _read(path: str, source: str) -> bytes:
    place, texts = os.path.abspath(path), _given.get()
    if texts is not None:
        if place not in texts:
            raise _at(source, 0, 0, "this file was not handed over with the manifest")
        return texts[place].encode()
    data = _read_file(path, source)
    if (files := _noted.get()) is not None:
        files[place] = _decode(data, source)
    return data


def _read_file(path: str, source: str) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _at(source, 0, 0, "this is no regular file: write the manifest to one")
            data = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as failure:
        raise _at(source, 0, 0, _unreadable(failure, source)) from None
    if len(data) > SIZE_LIMIT:
        limit = f"{SIZE_LIMIT >> 20} MiB"
        raise _at(source, 0, 0, f"larger than {limit}, so no manifest: mount large content with host")
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO must not hold the caller


def _unreadable(failure: OSError | ValueError, source: str) -> str:
    if isinstance(failure, FileNotFoundError):
        return "no such file: check the path, or write a manifest there"
    if isinstance(failure, IsADirectoryError):
        return "this is a directory: name the manifest file in it, as agent.toml"
    if isinstance(failure, PermissionError):
        return f'you may not read this file: chmod u+r "{source}", or run as its owner'
    reason = failure.strerror if isinstance(failure, OSError) else str(failure)
    return f"cannot be read: {reason}; a manifest is a regular file"


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as failure:
        before = data[: failure.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        raise _at(
            source, line, column, f"byte 0x{data[failure.start]:02x} is not UTF-8: save the file as UTF-8"
        ) from None


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _at(source, 0, 0, "nested too deeply for a manifest: write flat tables") from None
    except ValueError as failure:  # TOMLDecodeError, and int()'s own for thousands of digits
        match = _TOML_PLACE.fullmatch(str(failure))
        reason = match[1] if match else str(failure)
        line, column = _place(match, text)
        remedy = "; the form of TOML is at https://toml.io"
        raise _at(source, line, column, f"not TOML: {reason[:1].lower()}{reason[1:]}{remedy}") from None


def _place(match: re.Match[str] | None, text: str) -> tuple[int, int]:
    if match is None:
        return 0, 0
    if match[2]:
        return int(match[2]), int(match[3])
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _positions(text: str) -> Positions | None:
    try:
        return Positions(text)
    except (RecursionError, ValueError, IndexError):  # a message without its line beats no message
        return None


def _at(source: str, line: int, column: int, message: str) -> UnreadableError:
    return UnreadableError(Problem(source, line, column, message))
