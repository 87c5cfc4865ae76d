"""What the tables of a manifest's schema are made of: strict tables, checked values, unwritten keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from libos.manifest import values


def unwritten() -> Any:
    """The value of a key that is not written."""
    return None


def checked(parse: Callable[[Any], object]) -> AfterValidator:
    """A validator that lets `parse` judge a value and keeps the value as it was written."""

    def validate(value: Any) -> Any:
        parse(value)
        return value

    return AfterValidator(validate)


Argument = Annotated[str, checked(values.argument)]
Variable = Annotated[str, checked(values.variable)]
WorldPath = Annotated[str, checked(values.path)]


class Table(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
