"""The table of a manifest that says what the app may use up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from libos.manifest import limiting, values
from libos.manifest.schema_base import Table, checked, unwritten

Feature = Annotated[str, checked(limiting.feature)]


class LimitsTable(Table):
    """What the app may use up."""

    time: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten, description='How long it may run: seconds, or a text as "10min".'
    )
    memory: Annotated[int | str, checked(limiting.memory)] = Field(
        default_factory=unwritten,
        description='Memory of all its processes together, files in memory included: "512M".',
    )
    processes: Annotated[int, checked(limiting.processes)] = Field(
        default_factory=unwritten, description="How many processes and threads; 4096 unless said."
    )
    cpus: Annotated[int | float, checked(limiting.cpus)] = Field(
        default_factory=unwritten, description="How many processors' time it gets at the most: 1.5."
    )
    cpu_share: Annotated[int, checked(limiting.cpu_share)] = Field(
        default_factory=unwritten,
        description="Its weight where others want the processor too; 1024 is what everybody has.",
    )
    cpuset: Annotated[str, checked(limiting.cpuset)] = Field(
        default_factory=unwritten, description='Which processors it may use: "0-3,5".'
    )
    cpu_time: Annotated[int | float | str, checked(values.duration)] = Field(
        default_factory=unwritten, description="How much processor time each process may use, in seconds."
    )
    open_files: Annotated[int, checked(limiting.open_files)] = Field(
        default_factory=unwritten, description="How many descriptors each process may have open."
    )
    file_size: Annotated[int | str, checked(values.amount)] = Field(
        default_factory=unwritten, description='How large each file that it writes may become: "1G".'
    )
    disk: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten,
        description="What each copy-on-write mount may change, and /dev/shm may hold; both are in memory.",
    )
    output: Annotated[int | str, checked(values.amount)] = Field(
        default_factory=unwritten,
        description='How many bytes it may write to standard output and standard error in all: "10M".',
    )
    latency: Annotated[str, checked(limiting.latency)] = Field(
        default_factory=unwritten,
        description="How soon it gets a processor that others want too: best-effort, normal or priority.",
    )
    children: Annotated[int, checked(limiting.children)] = Field(
        default_factory=unwritten,
        description="How many worlds may run below it, at whatever depth; none unless said.",
    )
