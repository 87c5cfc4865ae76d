"""The manifest of a bundle, as text: the one that was bundled, with its host mounts from the bundle's root.

- Entries of the file stay as they are written, comments too, but for where they come from; those of which
  nothing was used go. What an include brings is taken away there and mounted here.
- Host paths that are relative become absolute: the text stands in another folder.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import tomlkit
from tomlkit.items import AoT

from libos.bundling.errors import BundleError
from libos.images.reference import parse
from libos.manifest.paths import absolute
from libos.manifest.values import place
from libos.namespace import Mount

# Keys of entries that are paths of the host, by their table.
_PATHS = {"mount": ("host",), "channel": ("host",), "dial": ("ca",), "secret": ("file",)}
# The name of the root in the folder of a bundle: a directory, or a tar.
ROOT, TAR = "root", "root.tar"


def text(
    before: str,
    base: str,
    command: Sequence[str],
    mounts: Collection[Mount],
    used: Collection[str],
    *,
    tar: bool,
    head: str,
) -> str:
    """The text. `base` is the folder of the manifest `before`, `mounts` those that the bundle takes over, and
    `used` the places of those of which something was used. Raises BundleError."""
    document: Any = tomlkit.parse(before)
    places = {mount.at for mount in mounts}
    _make_absolute(document, base)
    if "app" not in document:
        document["app"] = tomlkit.table()
    document["app"]["command"] = list(command)
    own = _take_over(document, places, set(used), tar=tar)
    for mount in mounts:
        if mount.at in own:
            continue
        if mount.layers:
            raise BundleError(
                f"{mount.at} ({mount.origin}) has layers and comes from an include: "
                "write it into the manifest"
            )
        document["include"].append(f"-{mount.at}")
        if mount.at in used:
            _append(document, mount.at, tar=tar)
    if len(document.get("include", ())) > 1:
        document["include"].multiline(True)
    return f"# {head}\n" + tomlkit.dumps(document)


def _make_absolute(document: Any, base: str) -> None:
    for table, keys in _PATHS.items():
        for entry in document.get(table, ()):
            for key in keys:
                if key in entry:
                    entry[key] = absolute(str(entry[key]), base)
            if table == "mount" and "image" in entry:
                entry["image"] = str(parse(str(entry["image"])).absolute(base))
    if "capture" in document.get("network", {}):
        document["network"]["capture"] = absolute(str(document["network"]["capture"]), base)
    include = document.get("include", [])
    for number, entry in enumerate(list(include)):
        if "/" in entry and not entry.startswith("-"):
            include[number] = absolute(str(entry), base)


def _take_over(document: Any, places: set[str], used: set[str], *, tar: bool) -> set[str]:
    """Mount from the root what the file itself mounts; gives the places of that."""
    entries = document.get("mount", [])
    own = set()
    for number in reversed(range(len(entries))):
        at = place(str(entries[number]["at"]))
        if at not in places:
            continue
        own.add(at)
        if at in used:
            for key, value in _source(at, tar=tar).items():
                entries[number][key] = value
            if tar:
                del entries[number]["host"]
        else:
            del entries[number]
    return own


def _source(at: str, *, tar: bool) -> dict[str, str]:
    return {"image": TAR, "path": at} if tar else {"host": ROOT + at}


def _append(document: Any, at: str, *, tar: bool) -> None:
    entry = {"at": at, **_source(at, tar=tar)}
    entries = document.get("mount")
    if entries is not None and not isinstance(entries, AoT):
        inline = tomlkit.inline_table()
        inline.update(entry)
        entries.append(inline)
        return
    if entries is None:
        document["mount"] = tomlkit.aot()
    table = tomlkit.table()
    table.update(entry)
    document["mount"].append(table)
    table.trivia.indent = "\n"  # a blank line before its head
