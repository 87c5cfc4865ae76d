"""The check of one file, from what a manifest asks for. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from libos.vetting.elf import MAGIC, elf_problem


@dataclass(frozen=True)
class Check:
    """What must hold: its digest is one of these (None: any), and it is an ELF file that starts no other
    interpreter than these (None: any file)."""

    sha256: frozenset[str] | None = None
    interpreters: tuple[str, ...] | None = None

    def problem(self, data: bytes) -> str:
        """Why a file with this content may not be executed; "" where it may."""
        if self.sha256 is not None and hashlib.sha256(data).hexdigest() not in self.sha256:
            return "its digest is not listed"
        return "" if self.interpreters is None else elf_problem(data, self.interpreters)

    @property
    def looks(self) -> bool:
        """Whether the content has a say."""
        return self.sha256 is not None or self.interpreters is not None


def is_code(data: bytes) -> bool:
    """Whether a loader would take a file for code: what is opened to be read is then mapped and run."""
    return data.startswith(MAGIC)
