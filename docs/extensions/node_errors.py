"""Which errno each kind of node answers, read from the code of its operations.

Rules:
- Operations that a node does not have answer what the interface answers: found by asking it.
- What an operation of its own may refuse by name (`errno.X`) is found in its text and in that of the
  functions that it calls; what a file system of the host or a caller's function answers is passed on, and
  cannot be known here.
"""

from __future__ import annotations

import ast
import errno
import inspect
import textwrap
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from libos.fs import (
    channel,
    computed,
    host_files,
    host_nodes,
    lines,
    memory_nodes,
    node,
    program,
    revoking,
    sink,
    skeleton,
    stream,
    synthetic,
    union,
)

_MODULES = (
    node,
    synthetic,
    channel,
    computed,
    program,
    stream,
    sink,
    lines,
    memory_nodes,
    host_nodes,
    host_files,
    union,
    skeleton,
    revoking,
)
_INTERFACES = (node.Node, node.Directory, node.File, node.Symlink, node.Handle)
_DEPTH = 3  # calls that are followed


def errors_of_nodes() -> dict[str, tuple[str, list[list[str]]]]:
    """Class by class: its opening sentence, and each operation with what it answers."""
    return {f"`{each.__name__}`": (_opening(each), list(_rows(each))) for each in _classes()}


def _classes() -> Iterator[type]:
    seen: set[type] = set()
    for module in _MODULES:
        for each in vars(module).values():
            is_node = isinstance(each, type) and issubclass(each, (node.Node, node.Handle))
            if (
                is_node
                and each.__module__ == module.__name__
                and each not in seen
                and each.__name__[0] != "_"
            ):
                seen.add(each)
                yield each


def _opening(each: type) -> str:
    text = inspect.cleandoc(each.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    bases = ", ".join(f"`{base.__name__}`" for base in each.__bases__ if base is not object)
    return f"{text} (a {bases})" if bases else text


def _operations(each: type) -> Iterator[tuple[str, Callable[..., Coroutine[Any, Any, Any]]]]:
    for name in dir(each):
        method = getattr(each, name)
        if name[0] != "_" and inspect.iscoroutinefunction(method) and name in _NAMES:
            yield name, method


_NAMES = {
    name for each in _INTERFACES for name, value in vars(each).items() if inspect.iscoroutinefunction(value)
}


def _rows(each: type) -> Iterator[list[str]]:
    for name, method in sorted(_operations(each)):
        home = next(base for base in each.__mro__ if name in vars(base))
        if home in _INTERFACES:
            answer = _default(home, name)
            if each in _INTERFACES or answer is not None:
                yield [f"`{name}`", f"`{answer}`, by default" if answer else "nothing to refuse, by default"]
            continue
        found = sorted(set(_named(method, _DEPTH)))
        yield [f"`{name}`", ", ".join(f"`{number}`" for number in found) or "what lies below it answers"]


def _default(interface: type, name: str) -> str | None:
    """The errno that an operation of the interface refuses with; None where it does something."""
    method = getattr(interface, name)
    names = [each for each in inspect.signature(method).parameters if each != "self"]
    values: dict[str, Any] = dict.fromkeys(names, b"")
    try:
        method(interface(), **values).send(None)
    except StopIteration:
        return None
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    raise AssertionError(f"{interface.__name__}.{name} waits")


def _named(function: Callable[..., Any], depth: int) -> Iterator[str]:
    """The errnos that a function names, and those that it calls by name in its own module or class."""
    function = inspect.unwrap(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    around = function.__globals__
    for part in ast.walk(tree):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "errno":
            yield part.attr
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and depth:
            called = around.get(part.func.id)
            if inspect.isfunction(called) and called.__module__.startswith("libos.fs"):
                yield from _named(called, depth - 1)
