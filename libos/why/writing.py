"""Grants written into a manifest, its comments and layout kept: text in, text out. Pure.

Rules: what the file says already stays as it is; an entry that grants less is widened where it stands; else
an entry is added after those of its kind. Only the file's own entries are changed, never what it includes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Array

from libos.errors import ManifestError
from libos.manifest.listening import listen
from libos.manifest.model import Listen
from libos.manifest.positions import Path
from libos.why.placing import has_header, with_end, with_entry, with_key
from libos.why.questions import Question
from libos.why.remedies import is_text, quoted

_MODES = {"": "read-only", "ro": "read-only", "rw": "read-write", "cow": "copy-on-write"}
# How much each mode allows.
_RANK = {"read-only": 0, "copy-on-write": 1, "read-write": 2}


class Writing:
    """One manifest's text while grants are written into it."""

    def __init__(self, text: str) -> None:
        """Raises ManifestError for what is not TOML."""
        self.text = text
        self._document = _parsed(text)

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

    def publish(self, wanted: Listen) -> bool:
        """Write one published port; gives whether anything had to be changed. Raises ManifestError."""
        for index, entry in enumerate(self._entries("listen")):
            there = _listen_of(entry)
            if there is None or there.name != wanted.name:
                continue
            if there.published == wanted.published:
                return False
            if not there.is_published:
                self._set(("listen", index), "publish", wanted.published)
                return True
        self._add("listen", {"port": wanted.port, "publish": wanted.published})
        return True

    def rule(self, domain: str, kind: str, verbs: Iterable[str]) -> bool:
        """Write what lets a domain do these things with a type; gives whether anything had to be changed."""
        for index, entry in enumerate(self._entries("allow")):
            if (entry.get("domain"), entry.get("type")) == (domain, kind):
                said = [str(each) for each in entry.get("to", [])]
                if more := [each for each in verbs if each not in said]:
                    self._set(("allow", index), "to", [*said, *more])
                return bool(more)
        self._add("allow", {"domain": domain, "type": kind, "to": list(verbs)})
        return True

    def _mount(self, path: str, mode: str, host: str | None) -> bool:
        for index, entry in enumerate(self._entries("mount")):
            if entry.get("at") != path:
                continue
            if _RANK[mode] <= _RANK.get(str(entry.get("mode", "read-only")), 0):
                return False
            if "host" not in entry:
                raise ManifestError(f'the mount at "{path}" is not of the host: it cannot be {mode}')
            self._set(("mount", index), "mode", mode)
            return True
        if not (is_text(path) and is_text(host or "")):
            raise ManifestError(
                f'the name of "{path}" is not UTF-8, and a manifest is: mount the directory that holds it'
            )
        if host is None:
            raise ManifestError(
                f'the host has no "{path}": write a [[mount]] that says what is to stand there'
            )
        said = {"at": path, "host": host}
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
        if isinstance(allowed, list) and name in allowed:
            return False
        if isinstance(allowed, Array):
            allowed.append(name)
            self.text = tomlkit.dumps(self._document)
        else:
            self._set(("syscalls",), "allow", [name])
        return True

    def _limit(self, key: str, value: str) -> bool:
        if not value:
            raise ManifestError(f'"{key}" needs a value: write {key}=…')
        said: str | int | float = int(value) if value.isdecimal() and len(value) < 20 else value
        if key == "cpus" and isinstance(said, str):
            try:
                said = float(said)
            except ValueError:
                raise ManifestError(f'"{value}" is no number of processors') from None
        if self._table("limits").get(key) == said:
            return False
        self._set(("limits",), key, said)
        return True

    def _entries(self, kind: str) -> list[Any]:
        entries = self._document.get(kind, [])
        return [each for each in entries if hasattr(each, "get")] if isinstance(entries, list) else []

    def _table(self, name: str) -> Any:
        found = self._document.get(name, {})
        if not hasattr(found, "get"):
            raise ManifestError(f'"{name}" is no table')
        return found

    def _add(self, kind: str, said: Mapping[str, str | int | list[str]]) -> None:
        """Add an entry after those of its kind, written as they are."""
        entries = self._document.get(kind)
        if isinstance(entries, Array):
            inline = tomlkit.inline_table()
            inline.update(said)
            entries.append(inline)
            self._become(tomlkit.dumps(self._document))
            return
        lines = [f"[[{kind}]]", *(f"{key} = {_shown(value)}" for key, value in said.items())]
        self._become(with_end(self.text, lines) if entries is None else with_entry(self.text, kind, lines))

    def _set(self, table: Path, key: str, value: Any) -> None:
        """Give a key of a table this value; the table may not be there yet."""
        found: Any = self._document
        for part in table:
            found = found[part] if not isinstance(part, str) or part in found else None
            if found is None:
                self._become(with_end(self.text, [f"[{part}]", f"{key} = {_shown(value)}"]))
                return
        if key in found or not has_header(self.text, table):
            found[key] = value
            self._become(tomlkit.dumps(self._document))
        else:
            self._become(with_key(self.text, table, f"{key} = {_shown(value)}"))

    def _become(self, text: str) -> None:
        self.text = text
        self._document = _parsed(text)


def _listen_of(entry: Any) -> Listen | None:
    """What an entry says; None where it is wrong, which it will be told."""
    try:
        return listen(entry.unwrap(), "")
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _parsed(text: str) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ValueError as error:
        raise ManifestError(f"not TOML: {error}") from None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)
