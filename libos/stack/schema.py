"""The pydantic models of a stack file, beside those of manifests (`libos.manifest.schema`).

A [[world]] table holds a manifest's own tables too; these are judged by the manifest's model, so they are not
named here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from libos.manifest import values
from libos.manifest.schema_base import Argument, Table, WorldPath, checked, unwritten
from libos.stack import words

Seconds = Annotated[int | float | str, checked(values.duration)]
Port = Annotated[int, checked(values.port)]
Name = Annotated[str, checked(words.world)]


class ReadyTable(Table):
    """When a world counts as ready: one of port, file, line and command."""

    port: Port = Field(default_factory=unwritten, description="The app listens at this port.")
    file: WorldPath = Field(default_factory=unwritten, description="This path exists in the world.")
    line: Annotated[str, checked(words.line)] = Field(
        default_factory=unwritten, description="A line of its output contains this text."
    )
    command: list[Argument] = Field(
        default_factory=unwritten, min_length=1, description="This command, run in the world, succeeds."
    )
    timeout: Seconds = Field(
        default_factory=unwritten, description="How long that may take: 60 s unless said."
    )


class RestartTable(Table):
    """Whether and how a world that ended is started again."""

    when: Literal["never", "on-failure", "always"] = Field(description="never, on-failure or always.")
    limit: Annotated[int, checked(values.count)] = Field(
        default_factory=unwritten,
        description="Restarts within the time of `within`; one more ends the stack.",
    )
    within: Seconds = Field(default_factory=unwritten, description="60 s unless said.")
    first: Seconds = Field(default_factory=unwritten, description="The first wait: 100 ms; it doubles.")
    most: Seconds = Field(default_factory=unwritten, description="The longest wait: 10 s.")


class StopTable(Table):
    """How a world is asked to end."""

    signal: Annotated[str, checked(words.signal_number)] = Field(
        default_factory=unwritten, description='The signal to its process group: "SIGTERM" unless said.'
    )
    grace: Seconds = Field(default_factory=unwritten, description="How long until it is killed: 10 s.")


class WorldTable(Table):
    """One world: a manifest, by its file or in place, and how the world is kept up."""

    name: Name = Field(description="Its name: other worlds dial it by that.")
    manifest: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten, description="A manifest file, laid under what stands here."
    )
    needs: list[Name] = Field(
        default_factory=unwritten, description="Worlds that must be ready first, besides those that it dials."
    )
    expose: list[Port] = Field(
        default_factory=unwritten, description="Ports that other worlds of the stack may dial."
    )
    ready: ReadyTable = Field(default_factory=unwritten)
    restart: Literal["never", "on-failure", "always"] | RestartTable = Field(
        default_factory=unwritten, description="never unless said."
    )
    stop: StopTable = Field(default_factory=unwritten)


class LogsTable(Table):
    """How much of what the worlds print is kept on disk."""

    size: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten, description='Of one file: "10M" unless said.'
    )
    files: Annotated[int, checked(words.files)] = Field(
        default_factory=unwritten, description="How many files: 3 unless said."
    )


class StackTable(Table):
    """The stack as a whole."""

    name: Name = Field(default_factory=unwritten, description="The file's name without .toml unless said.")
    strategy: Literal["one-for-one", "rest-for-one", "all"] = Field(
        default_factory=unwritten,
        description="What is restarted with a world that is: one-for-one unless said.",
    )
    logs: LogsTable = Field(default_factory=unwritten)


class StackFile(Table):
    """A stack of worlds."""

    libos: Annotated[int, checked(values.version)] = Field(
        description="The version of the grammar.", json_schema_extra={"const": 1}
    )
    stack: StackTable = Field(default_factory=unwritten)
    world: list[WorldTable] = Field(min_length=1)
