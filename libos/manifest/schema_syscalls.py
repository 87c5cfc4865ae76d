"""The table of a manifest that says which system calls the app may make."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from libos.manifest import values
from libos.manifest.schema_base import Table, checked, unwritten


class SyscallsTable(Table):
    """Which system calls the app may make. What is not allowed is refused."""

    profile: Annotated[str, checked(values.syscall_profile)] = Field(
        default_factory=unwritten,
        description='"default" unless said, "strict" without debugging, devices and the like, "narrow": '
        'files and threads by thirty calls, or "compute": read, write, memory and exit alone.',
    )
    allow: list[Annotated[str, checked(values.syscall)]] = Field(
        default_factory=unwritten,
        description='What is allowed besides: calls by name, as "ptrace", and groups, as "@ipc".',
    )
    deny: list[Annotated[str, checked(values.denied_syscall)]] = Field(
        default_factory=unwritten, description="What is refused after all; this wins over allow."
    )
    log: bool | Literal["pass"] = Field(
        default_factory=unwritten,
        description='Tell of each refused call by an event; with "pass" let it through too, to learn what a '
        "program needs.",
    )
