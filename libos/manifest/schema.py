"""The pydantic models of a manifest file: which keys there are, their types, and what each means.

They only check, and print the JSON Schema; the values that the rest of libos uses are built by
`libos.manifest.build`. Types are strict: a port is a number, not a text. Unknown keys are errors. A key that
is not written is None, which no written value can be: TOML has no null.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf
from pydantic.json_schema import GenerateJsonSchema

from libos.manifest import values

# What a mount shows: exactly one of these stands in it. The last two only from Python.
SOURCE_KEYS = ("host", "text", "bytes", "memory")
PYTHON_SOURCE_KEYS = (*SOURCE_KEYS, "node", "function")


def _unwritten() -> Any:
    """The value of a key that is not written."""
    return None


def _checked(parse: Callable[[Any], object]) -> AfterValidator:
    """A validator that lets `parse` judge a value and keeps the value as it was written."""

    def validate(value: Any) -> Any:
        parse(value)
        return value

    return AfterValidator(validate)


Argument = Annotated[str, _checked(values.argument)]
Variable = Annotated[str, _checked(values.variable)]
WorldPath = Annotated[str, _checked(values.path)]


class Table(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class AppTable(Table):
    """The program that runs."""

    command: list[Argument] = Field(
        default_factory=_unwritten,
        min_length=1,
        description="The program and its arguments; found by PATH in the world.",
    )
    directory: WorldPath = Field(
        default_factory=_unwritten, description='Where it starts, in the world; "/" unless said.'
    )
    environment: dict[Variable, Argument] = Field(
        default_factory=_unwritten,
        description="Its environment. Nothing of the caller's environment is passed on by itself.",
    )
    hostname: Annotated[str, _checked(values.host_name)] = Field(
        default_factory=_unwritten, description="The world's host name."
    )
    name: Annotated[str, _checked(values.world_name)] = Field(
        default_factory=_unwritten, description="The name by which libos ps, exec and kill find it."
    )


class MountTable(Table):
    """One source at one place. Exactly one of host, text, bytes and memory says what it is."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in SOURCE_KEYS]})

    at: Annotated[str, _checked(values.place)] = Field(description="The mount point: an absolute path.")
    host: Annotated[str, _checked(values.host_path)] = Field(
        default_factory=_unwritten,
        description="A file or directory of the host, relative to the manifest's folder; ~ is your home.",
    )
    text: str = Field(default_factory=_unwritten, description="A file with this text.")
    bytes: Annotated[str, _checked(values.base64_bytes)] = Field(
        default_factory=_unwritten, description="A file with these bytes, in base64."
    )
    memory: Annotated[int | str, _checked(values.size)] = Field(
        default_factory=_unwritten,
        description='An empty writable directory in memory, of at most this size: "64M".',
    )
    mode: Literal["read-only", "read-write", "copy-on-write"] = Field(
        default_factory=_unwritten,
        description="What the app may do: read-only unless said. Changes to a copy-on-write end with it.",
    )
    optional: bool = Field(False, description="Leave the mount out where the host does not have the source.")


class PythonMountTable(MountTable):
    """A mount as Python code may say it."""

    bytes: Annotated[str | builtins.bytes, _checked(values.base64_bytes)] = Field(  # type: ignore[assignment]  # wider
        default_factory=_unwritten
    )
    node: Any = None
    function: InstanceOf[Callable[..., Any]] = Field(default_factory=_unwritten)


class DialTable(Table):
    """An address that the app may connect to. It can reach no other."""

    to: Annotated[str, _checked(values.dial_address)] = Field(
        description='The address in the form of dial(2): "tcp!api.example.com!443".'
    )


class ListenTable(Table):
    """A port of the app that can be reached from outside."""

    port: Annotated[int, _checked(values.port)] = Field(description="The port on which the app listens.")
    publish: Annotated[int | str, _checked(values.published)] = Field(
        default_factory=_unwritten,
        description='Where it is reached on the host: "IP:PORT"; the same port on 127.0.0.1 unless said.',
    )


class LimitsTable(Table):
    """What the app may use up."""

    time: Annotated[int | float | str, _checked(values.duration)] = Field(
        default_factory=_unwritten, description='How long it may run: seconds, or a text as "10min".'
    )


class ManifestFile(Table):
    """A libos manifest: what one app gets. What is not in it does not exist for the app."""

    libos: Annotated[int, _checked(values.version)] = Field(
        description="The version of the manifest's grammar.", json_schema_extra={"const": 1}
    )
    include: list[str] = Field(
        default_factory=_unwritten,
        description='Profiles by name, files by path, and removals: "-/tmp", "-tcp!host!80", "-tcp!*!8000".',
    )
    app: AppTable = Field(default_factory=_unwritten)
    mount: list[MountTable] = Field(default_factory=_unwritten)
    dial: list[DialTable] = Field(default_factory=_unwritten)
    listen: list[ListenTable] = Field(default_factory=_unwritten)
    limits: LimitsTable = Field(default_factory=_unwritten)


class ManifestMapping(ManifestFile):
    """A manifest as Python code may say it."""

    libos: Annotated[int, _checked(values.version)] = 1
    mount: list[PythonMountTable] = Field(default_factory=_unwritten)  # type: ignore[assignment]


class _Untitled(GenerateJsonSchema):
    """Without a title for each key, which would only repeat it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest file."""
    schema = ManifestFile.model_json_schema(schema_generator=_Untitled)
    return {"$schema": _Untitled.schema_dialect, **schema}
