"""Grants written into a manifest, its comments and layout kept: text in, text out. Pure.

Rules: what the file says already stays as it is; an entry that grants less is widened where it stands; else
an entry is added after those of its kind. Only the file's own entries are changed, never what it includes.
"""

from __future__ import annotations

from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import AoT, Array, Table

from libos.errors import ManifestError
from libos.why.questions import Question

_MODES = {"": "read-only", "ro": "read-only", "rw": "read-write", "cow": "copy-on-write"}
# How much each mode allows.
_RANK = {"read-only": 0, "copy-on-write": 1, "read-write": 2}


class Writing:
    """One manifest's text while grants are written into it."""

    def __init__(self, text: str) -> None:
        """Raises ManifestError for what is not TOML."""
        try:
            self._document: TOMLDocument = tomlkit.parse(text)
            self._before = text
        except ValueError as error:
            raise ManifestError(f"not TOML: {error}") from None

    @property
    def text(self) -> str:
        """The manifest as it is now."""
        text = tomlkit.dumps(self._document)
        if text == self._before or self._before.endswith("\n\n"):
            return text
        return text.rstrip("\n") + "\n"

    def allow(self, asked: Question, host: str | None = None) -> bool:
        """Write one grant, of a path what the host has at `host`; gives whether anything had to be changed.
        Raises ManifestError for what cannot be written."""
        if asked.subject == "path":
            return self._mount(asked.what, _MODES[asked.mode], host)
        if asked.subject == "address":
            return self._dial(asked.what)
        if asked.subject == "call":
            return self._call(asked.what)
        if asked.subject == "limit":
            return self._limit(asked.what, asked.mode)
        raise ManifestError(f'"{asked.what}" has no port: write tcp!{asked.what}!443')

    def _mount(self, path: str, mode: str, host: str | None) -> bool:
        for entry in self._entries("mount"):
            if entry.get("at") != path:
                continue
            if _RANK[mode] <= _RANK.get(str(entry.get("mode", "read-only")), 0):
                return False
            if "host" not in entry:
                raise ManifestError(f'the mount at "{path}" is not of the host: it cannot be {mode}')
            entry["mode"] = mode
            return True
        if host is None:
            raise ManifestError(
                f'the host has no "{path}": write a [[mount]] that says what is to stand there'
            )
        said: dict[str, Any] = {"at": path, "host": host}
        self._add("mount", said if mode == "read-only" else said | {"mode": mode})
        return True

    def _dial(self, to: str) -> bool:
        from libos.net.granting.target import parse_target

        wanted = parse_target(to)
        for entry in self._entries("dial"):
            try:
                target = parse_target(str(entry.get("to", "")))
                denied = [parse_target(str(each)) for each in entry.get("deny", [])]
            except ValueError:
                continue  # the manifest is wrong there, and will be told so
            addresses = list(wanted.addresses())
            covered = target == wanted or (bool(addresses) and all(map(target.covers, addresses)))
            if covered and any(each.covers(address) for each in denied for address in addresses):
                raise ManifestError(f'the [[dial]] to "{target}" denies {to}: take it out of its deny first')
            if covered:
                return False
        self._add("dial", {"to": to})
        return True

    def _call(self, name: str) -> bool:
        table = self._table("syscalls")
        if name in table.get("deny", []):
            raise ManifestError(f'[syscalls] denies "{name}": take it out of deny first')
        allowed = table.get("allow")
        if not isinstance(allowed, list):
            table["allow"] = [name]
        elif name in allowed:
            return False
        else:
            assert isinstance(allowed, Array)
            allowed.append(name)
        return True

    def _limit(self, key: str, value: str) -> bool:
        if not value:
            raise ManifestError(f'"{key}" needs a value: write {key}=…')
        said: str | int | float = int(value) if value.isdecimal() else value
        if key == "cpus" and isinstance(said, str):
            try:
                said = float(said)
            except ValueError:
                raise ManifestError(f'"{value}" is no number of processors') from None
        table = self._table("limits")
        if table.get(key) == said:
            return False
        table[key] = said
        return True

    def _entries(self, kind: str) -> list[Any]:
        entries = self._document.get(kind, [])
        return [each for each in entries if hasattr(each, "get")] if isinstance(entries, list) else []

    def _add(self, kind: str, said: dict[str, Any]) -> None:
        """Add an entry after those of its kind, written as they are."""
        entries = self._document.get(kind)
        if isinstance(entries, Array):
            inline = tomlkit.inline_table()
            inline.update(said)
            entries.append(inline)
            return
        table = tomlkit.table()
        table.update(said)
        if isinstance(entries, AoT):
            self._part(entries.body[-1] if entries.body else None)
            table.add(tomlkit.nl())
            entries.append(table)
            return
        made = tomlkit.aot()
        made.append(table)
        self._end_with_blank()
        self._document.append(kind, made)

    def _part(self, before: Table | None) -> None:
        """Let an empty line stand between the last entry and the one that comes."""
        if before is not None and not before.as_string().endswith("\n\n"):
            before.add(tomlkit.nl())

    def _end_with_blank(self) -> None:
        text = tomlkit.dumps(self._document)
        if text and not text.endswith("\n"):
            self._document.add(tomlkit.nl())
        if text.strip() and not text.endswith("\n\n"):
            self._document.add(tomlkit.nl())

    def _table(self, name: str) -> Any:
        found = self._document.get(name)
        if found is None:
            self._end_with_blank()
            self._document.append(name, tomlkit.table())
            found = self._document[name]
        if not hasattr(found, "get"):
            raise ManifestError(f'"{name}" is no table')
        return found
