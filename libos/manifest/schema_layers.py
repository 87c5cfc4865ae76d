"""The tables of a mount's layers; see `libos.namespace.layers` for what each means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from libos.manifest import values
from libos.manifest.schema_base import Table, WorldPath, checked, unwritten
from libos.namespace import vetting_text


class CountTable(Table):
    """What may pass through a mount; more is EDQUOT."""

    reads: Annotated[int, checked(values.count)] = Field(
        default_factory=unwritten, description="How many reads at most."
    )
    bytes_read: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten, description='How many bytes may be read: "1M".'
    )
    writes: Annotated[int, checked(values.count)] = Field(
        default_factory=unwritten, description="How many writes at most."
    )
    bytes_written: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten, description='How many bytes may be written: "1M".'
    )


class ElfTable(Table):
    """What an ELF file may be."""

    interpreters: list[WorldPath] = Field(
        default_factory=unwritten,
        description="The interpreters that a program may start: the loader of shared libraries, by its path.",
    )


class ExecTable(Table):
    """What must hold of a file that is executed; all that is said must. Anything else is EACCES."""

    sha256: list[Annotated[str, checked(vetting_text.sha256)]] = Field(
        default_factory=unwritten, description="Its digest is one of these."
    )
    signed: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="The folder is sealed and signed by this key: a file with a public Ed25519 key, in PEM.",
    )
    elf: Literal[True] | ElfTable = Field(
        default_factory=unwritten,
        description="It is an ELF file for this machine, of which nothing is both written and executed.",
    )


class QuotaTable(Table):
    """What a writable mount may hold; more is EDQUOT."""

    size: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten, description='Bytes in all its files: "10M".'
    )
    files: Annotated[int, checked(values.count)] = Field(
        default_factory=unwritten, description="Files, directories and links."
    )


class AskTable(Table):
    """Opening waits for the caller's answer."""

    timeout: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten, description='How long to wait; then the answer is no. "60s" unless said.'
    )


class FaultTable(Table):
    """Errors, short reads and delays, to see how a program behaves."""

    seed: int = Field(default_factory=unwritten, description="The same seed gives the same faults.")
    rate: Annotated[int | float, checked(values.share)] = Field(
        default_factory=unwritten, description="The share of operations that fail, from 0 to 1."
    )
    errors: list[Annotated[str, checked(values.errno_name)]] = Field(
        default_factory=unwritten, min_length=1, description='What they fail with: ["EIO", "ENOSPC"].'
    )
    short: Annotated[int | float, checked(values.share)] = Field(
        default_factory=unwritten, description="The share of reads that give less than was asked for."
    )
    delay: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten, description='What every operation waits: "20ms".'
    )
    match: list[Annotated[str, checked(values.pattern)]] = Field(
        default_factory=unwritten, min_length=1, description="Only files that match a gitignore pattern."
    )


Patterns = list[Annotated[str, checked(values.pattern)]]
