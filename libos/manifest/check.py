"""Checking raw values: every error of one document, each at its place, in plain words.

pydantic finds what is wrong with a key by itself; its own sentences speak of Python, so each kind has one
here that speaks of manifests and says what would be right. What two keys of a mount say together is judged
here too, and not by a model: pydantic skips a model's own check as soon as one of its keys is wrong.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from libos.manifest.channels import channel_problems
from libos.manifest.descriptors import descriptor_problems
from libos.manifest.dialing import dial_problems
from libos.manifest.document import Document
from libos.manifest.listening import listen_problems
from libos.manifest.positions import Path
from libos.manifest.problems import Problem, already_mounted, nearest
from libos.manifest.schema import PYTHON_SOURCE_KEYS, SOURCE_KEYS, ManifestFile, ManifestMapping
from libos.manifest.web import secret_problems

# pydantic's kinds of type errors, as people say what was wanted.
_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "bytes_type": "bytes",
    "is_instance_of": "a callable",
}

# The kinds of values that TOML and Python have, as people call them; bool first, since it is an int too.
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a fraction"),
    (str, "a text"),
    (bytes, "bytes"),
    (list, "a list"),
    (dict, "a table"),
)

# What a mount that is not of the host may be; host mounts may be all three.
_MODES = {
    "memory": ("read-write",),
    "node": ("read-only", "read-write"),
    "bind": ("read-only", "read-write"),
    "image": ("read-only", "copy-on-write"),
    "p9": ("read-only", "read-write"),
}


# What is said of files and of directories alone.
_OF_FILES = frozenset(
    ["append_only", "ask", "audit", "count", "fault", "hide", "only", "order", "quota", "replaceable"]
    + ["revocable", "type"]
)


def check(document: Document) -> list[Problem]:
    """Everything that is wrong with one document by itself: without its includes and without the host."""
    model = ManifestFile if document.is_file else ManifestMapping
    return [
        *_mount_problems(document),
        *channel_problems(document),
        *descriptor_problems(document),
        *dial_problems(document),
        *listen_problems(document),
        *secret_problems(document),
        *judge(document, model),
    ]


def judge(document: Document, model: type[BaseModel]) -> list[Problem]:
    """What one model says is wrong with a document."""
    try:
        model.model_validate(document.raw)
    except ValidationError as failure:
        return list(_problems(document, model, failure))
    return []


def _problems(document: Document, model: type[BaseModel], failure: ValidationError) -> Iterator[Problem]:
    wanted: dict[Path, list[str]] = {}  # the members of a union each say what they wanted
    told: set[Path] = set()
    inner: list[Path] = []  # what is wrong inside a member says more than that others wanted something else
    for found in failure.errors(include_url=False):
        kind = found["type"]
        path = _written(document.raw, found["loc"], absent=kind == "missing")
        if kind in _WANTED:
            wanted.setdefault(path, []).append(_WANTED[kind])
            continue
        at_key = kind == "extra_forbidden" or found["loc"][-1:] == ("[key]",)
        inner.append(path)
        told.add(path)
        yield document.problem(path, _sentence(model, path, found), at_key=at_key)
    for path, kinds in wanted.items():
        if path in told:  # a member of the union had the kind, and says more
            continue
        if any(len(each) > len(path) and each[: len(path)] == path for each in inner):
            continue
        message = (
            f"{_called(path)} is {' or '.join(dict.fromkeys(kinds))}, not {_kind(_at(document.raw, path))}"
        )
        yield document.problem(path, message)


def _written(raw: Any, location: tuple[int | str, ...], *, absent: bool) -> Path:
    """The part of pydantic's location that names keys and indices: without the names of union members.

    With `absent` the last part names a key that is not there.
    """
    path: Path = ()
    for index, part in enumerate(location):
        if isinstance(raw, dict):
            if part not in raw and not (absent and index == len(location) - 1):
                continue
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int):
            raw = raw[part]
        else:
            continue
        path = (*path, part)
    return path


def _sentence(model: type[BaseModel], path: Path, found: Any) -> str:
    kind = found["type"]
    if kind == "extra_forbidden":
        known = sorted(_keys(model, path[:-1]))
        return f'unknown key "{path[-1]}"' + (
            nearest(str(path[-1]), known) or f"; known are {', '.join(known)}"
        )
    if kind == "missing":
        return _missing(path)
    if kind == "invalid_key":
        return f"a key is a text, not {_kind(path[-1])}"
    if kind == "value_error":
        return str(found["ctx"]["error"])
    if kind == "literal_error":
        expected = str(found["ctx"]["expected"]).replace("'", '"')
        return f"{_called(path)} is {expected}, not {_shown(found['input'])}"
    if kind == "too_short":
        return f"{_called(path)} is empty: write at least one entry, or remove the key"
    return f"{_called(path)}: {found['msg']}"


def _missing(path: Path) -> str:
    if path == ("libos",):
        return 'the key "libos" is missing: write libos = 1 on the first line'
    table = next((part for part in reversed(path[:-1]) if isinstance(part, str)), None)
    if table is None:
        return f'the key "{path[-1]}" is missing: write a [[{path[-1]}]]'
    return f'the key "{path[-1]}" is missing in this [[{table}]]'


def _mount_problems(document: Document) -> Iterator[Problem]:
    mounts = document.raw.get("mount")
    first: dict[str, str] = {}
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        if not isinstance(mount, dict):
            continue
        path = ("mount", index)
        yield from _one_mount(document, path, mount)
        if isinstance(at := mount.get("at"), str) and mount.get("order", "replace") == "replace":
            if at in first:
                yield document.problem(path, already_mounted(at, first[at]))
            first.setdefault(at, document.origin(path))


def _one_mount(document: Document, path: Path, mount: dict[str, Any]) -> Iterator[Problem]:
    keys = SOURCE_KEYS if document.is_file else PYTHON_SOURCE_KEYS
    said = [key for key in keys if key in mount]
    if len(said) != 1:
        found = f"this one has {' and '.join(said)}" if said else "this one has none of them"
        yield document.problem(path, f"a mount shows one of {', '.join(keys)}: {found}")
    elif said[0] == "host":
        if "path" in mount:
            message = "only an image has a path: write it behind the path of host"
            yield document.problem((*path, "path"), message, at_key=True)
    else:
        allowed = _MODES.get(said[0], ("read-only",))
        if isinstance(mount.get("mode"), str) and mount["mode"] not in allowed:
            message = f"a {said[0]} mount is always {' or '.join(allowed)}: remove this key"
            yield document.problem((*path, "mode"), message, at_key=True)
        if said[0] == "service":
            for key in sorted(_OF_FILES & mount.keys()):
                message = "a service is a socket and no file: remove this key"
                yield document.problem((*path, key), message, at_key=True)
        if "path" in mount and said[0] != "image":
            yield document.problem((*path, "path"), "only an image has a path: remove this key", at_key=True)
        for key in sorted({"label", "type"} & mount.keys()) if said[0] == "bind" else ():
            message = f"a bind shows what is there with the {key} that it has: remove this key"
            yield document.problem((*path, key), message, at_key=True)
        if mount.get("optional") is True and said[0] != "bind":
            message = "only a host mount can be optional: remove this key"
            yield document.problem((*path, "optional"), message, at_key=True)


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys of the table at a path of the model."""
    for part in path:
        if isinstance(part, str):
            inner = _model_of(model.model_fields[part].annotation)
            if inner is not None:
                model = inner
    return list(model.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Annotated, Union, types.UnionType):
        return next(filter(None, map(_model_of, get_args(annotation))), None)
    return None


def _at(raw: Any, path: Path) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _called(path: Path) -> str:
    """The name of a value: its key, or "an entry of" the list's key."""
    if path and isinstance(path[-1], int):
        return f'an entry of "{path[-2]}"'
    return f'"{path[-1]}"' if path else "a manifest"


def _kind(value: Any) -> str:
    if value == "":
        return 'the text ""'
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return f"{name}: {_shown(value)}" if isinstance(value, (bool, int, float, str)) else name
    return f"a {type(value).__name__}"


def _shown(value: Any) -> str:
    """A value as TOML writes it, cut to one short line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if not isinstance(value, str) else '"' + value.encode("unicode_escape").decode() + '"'
    return text if len(text) <= 60 else text[:56] + "…" + text[-1:]
