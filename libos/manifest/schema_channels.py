"""The tables of channels, and of descriptors that a program has from its start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from libos.manifest import descriptors, values
from libos.manifest.schema_base import Table, checked, unwritten

_Order = Literal["sequential", "random"]
_Times = Annotated[int, checked(values.count)]
_Size = Annotated[int | str, checked(values.amount)]


class ChannelTable(Table):
    """A file that is opened before the start, with a budget each way. Without a host it is in memory."""

    at: Annotated[str, checked(values.place)] = Field(description="Where it stands: an absolute path.")
    host: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="A regular file of the host, made where it is to be written; in memory unless said.",
    )
    get: _Order = Field(
        default_factory=unwritten, description="In which order it is read; sequential unless said."
    )
    put: _Order = Field(
        default_factory=unwritten, description="In which order it is written; sequential unless said."
    )
    gets: _Times = Field(default_factory=unwritten, description="How many reads at most; none unless said.")
    get_size: _Size = Field(default_factory=unwritten, description='How many bytes may be read: "1M".')
    puts: _Times = Field(default_factory=unwritten, description="How many writes at most; none unless said.")
    put_size: _Size = Field(default_factory=unwritten, description='How many bytes may be written: "1M".')


class DescriptorTable(Table):
    """A file of the host that the first program has open when it starts, with these rights and no more."""

    name: Annotated[str, checked(descriptors.name)] = Field(
        description="Its name, as LISTEN_FDNAMES tells the program."
    )
    host: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="A regular file of the host, made where it is to be written; in memory unless said.",
    )
    rights: list[Literal["read", "append", "write", "seek"]] = Field(
        min_length=1, description="append: at the end; write: anywhere, with seek; none of them truncates."
    )
