"""The tables of a manifest that say which labels, domains and rules there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from libos.labels import name, parse
from libos.manifest.schema_base import Table, WorldPath, checked, unwritten

Label = Annotated[str, checked(parse)]
Name = Annotated[str, checked(name)]


class LabelsTable(Table):
    """What labels are made of: a label is a level, then categories, as "secret:nuclear,crypto"."""

    levels: list[Name] = Field(
        min_length=1, description="The levels, the lowest first; what has no label has the lowest."
    )
    categories: list[Name] = Field(
        default_factory=unwritten, description="The categories, which have no order."
    )


class DomainTable(Table):
    """What processes are, by the program that they run. One without programs is that of all others."""

    name: Name = Field(description="Its name, for [[allow]].")
    programs: list[WorldPath] = Field(
        default_factory=unwritten,
        min_length=1,
        description="Its programs: files of read-only mounts of the host, by their paths in the world.",
    )


class AllowTable(Table):
    """What a domain may do with what is of a type. What no rule allows is EACCES."""

    domain: Name = Field(description="Whose programs may.")
    type: Name = Field(description="With what: the type of a mount.")
    to: list[Literal["read", "write", "create", "remove", "execute"]] = Field(
        min_length=1, description="What they may do."
    )
