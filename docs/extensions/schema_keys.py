"""The keys of a manifest, a table for each TOML table, from the JSON Schema that `libos schema` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from libos.manifest import json_schema

Schema = Mapping[str, Any]
# Title of a section: its opening sentence, its rows.
Groups = dict[str, tuple[str, list[list[str]]]]

_SCALARS = {"string": "text", "integer": "a number", "number": "a number", "boolean": "true or false"}


def tables_of_keys() -> Groups:
    """Every table of a manifest with all its keys: name, what it takes, what it means."""
    schema = json_schema()
    return {title: (table["description"], _rows(table)) for title, table in _tables(schema)}


def _tables(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The tables in the order of a manifest; one that stands below several is named once, after the first."""
    seen: set[str] = set()
    top = {**schema, "description": "The keys outside any table."}
    waiting: list[tuple[str, Schema]] = [("", top)]
    while waiting:
        path, table = waiting.pop(0)
        below = [
            (key, is_list, name)
            for key, value in table["properties"].items()
            for is_list, name in _references(value)
            if name not in seen
        ]
        if path:
            yield path, table
        else:
            names = {key for key, _, _ in below}
            yield "Top level", {**table, "properties": _without(table["properties"], names)}
        for key, is_list, name in below:
            seen.add(name)
            inner = f"{path.strip('`[]')}.{key}".strip(".")
            waiting.append((f"`[[{inner}]]`" if is_list else f"`[{inner}]`", schema["$defs"][name]))


def _without(properties: Schema, names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in names}


def _references(value: Schema, is_list: bool = False) -> Iterator[tuple[bool, str]]:
    """The tables that a key takes, and whether it takes a list of them."""
    if "$ref" in value:
        yield is_list, value["$ref"].rsplit("/", 1)[1]
    for each in value.get("anyOf", ()):
        yield from _references(each, is_list)
    if "items" in value:
        yield from _references(value["items"], True)


def _rows(table: Schema) -> list[list[str]]:
    required = table.get("required", ())
    return [
        [f"`{key}`", _takes(value) + (", must be given" if key in required else ""), value["description"]]
        for key, value in table["properties"].items()
    ]


def _takes(value: Schema) -> str:
    """What may stand behind the equals sign, in words."""
    if "const" in value:
        return f"`{_toml(value['const'])}`"
    if "enum" in value:
        return ", ".join(f'`"{each}"`' for each in value["enum"])
    if "anyOf" in value:
        return " or ".join(_takes(each) for each in value["anyOf"])
    if "$ref" in value:
        return "a table"
    if value["type"] == "array":
        return f"a list of {'tables' if '$ref' in value['items'] else 'texts'}"
    if value["type"] == "object":
        return "a table of texts"
    return _SCALARS[value["type"]]


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
