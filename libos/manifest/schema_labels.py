"""The table of a manifest that says which labels there are; see `libos.labels`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from libos.labels import name, parse
from libos.manifest.schema_base import Table, checked, unwritten

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
