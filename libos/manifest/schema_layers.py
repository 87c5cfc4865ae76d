"""The tables of a mount's layers; see `libos.namespace.layers` for what each means."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from libos.manifest import values
from libos.manifest.schema_base import Table, checked, unwritten


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
