"""Layers as values: what is laid over the source of a mount, one property each.

Pure: a manifest is built into these, a plan carries them, and `libos.worlds.layering` makes the layers of
`libos.fs` that they stand for. None is no limit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hide:
    """Names that match a pattern of gitignore(5) are absent, also those that come later."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Only:
    """Names that match no pattern of gitignore(5) are absent, but for the directories that lead to one."""

    patterns: tuple[str, ...]


@dataclass(frozen=True)
class AppendOnly:
    """Files grow at their end and never lose what they have; chattr(1), attribute a."""


@dataclass(frozen=True)
class Counted:
    """Limits on what passes: operations and bytes. EDQUOT beyond; the totals stand in the exit event."""

    reads: int | None = None
    bytes_read: int | None = None
    writes: int | None = None
    bytes_written: int | None = None


@dataclass(frozen=True)
class Quota:
    """Limits on what a writable tree holds: bytes, and files of any kind. EDQUOT beyond."""

    size: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class Audited:
    """An event for each operation."""


@dataclass(frozen=True)
class Ask:
    """Opening waits until the caller says once, always or no; after `timeout` seconds it is no."""

    timeout: float = 60.0


@dataclass(frozen=True)
class Faulty:
    """Errors, short reads and delays, by rate and pattern, the same ones for the same seed.

    `rate` is the share of operations that fail with one of `errors` (names of errnos), `short` that of reads
    that give less than asked for; `delay` is in seconds, for each operation. With `patterns` of gitignore(5)
    only what matches one is touched.
    """

    seed: int = 0
    rate: float = 0.0
    errors: tuple[str, ...] = ("EIO",)
    short: float = 0.0
    delay: float = 0.0
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """Refuses by labels: no read up, no write down. `label` is written as "secret:nuclear". What it lets the
    app do is decided when it is lowered, from the app's own `level`; until then it is nothing."""

    label: str
    level: str = ""
    reads: bool = False
    writes: bool = False


@dataclass(frozen=True)
class Typed:
    """What is in it has this type; what the domain of a program may do with it, the world's rules say."""

    type: str


@dataclass(frozen=True)
class Vetted:
    """Only files that pass are executed: whose SHA-256 is listed, which stand in a tree that is sealed and
    signed by a key (a PEM file of the host), which are ELF files that start no other interpreter than these.
    None is no such condition; all that are there must hold."""

    sha256: tuple[str, ...] | None = None
    signed: str | None = None
    interpreters: tuple[str, ...] | None = None


Layer = Vetted | Hide | Only | AppendOnly | Counted | Quota | Audited | Ask | Faulty | Labelled | Typed
