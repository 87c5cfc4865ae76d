"""The pydantic models of a manifest file: which keys there are, their types, and what each means.

They only check, and print the JSON Schema; the values that the rest of libos uses are built by
`libos.manifest.build`. Types are strict: a port is a number, not a text. Unknown keys are errors. A key that
is not written is None, which no written value can be: TOML has no null.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, InstanceOf
from pydantic.json_schema import GenerateJsonSchema

from libos.manifest import listening, values
from libos.manifest.schema_base import Argument, Table, Variable, WorldPath, checked, unwritten
from libos.manifest.schema_channels import ChannelTable, DescriptorTable
from libos.manifest.schema_labels import AllowTable, DomainTable, Label, LabelsTable, Name
from libos.manifest.schema_layers import AskTable, CountTable, ExecTable, FaultTable, Patterns, QuotaTable
from libos.manifest.schema_limits import Feature, LimitsTable
from libos.manifest.schema_network import NetworkTable
from libos.manifest.schema_syscalls import SyscallsTable
from libos.manifest.schema_web import HttpKeys, PythonHttpKeys, SecretTable

# What a mount shows: exactly one of these stands in it. The last two only from Python.
SOURCE_KEYS = ("host", "image", "text", "bytes", "memory", "bind", "service", "p9")
PYTHON_SOURCE_KEYS = (*SOURCE_KEYS, "node", "function")


class AppTable(Table):
    """The program that runs."""

    command: list[Argument] = Field(
        default_factory=unwritten,
        min_length=1,
        description="The program and its arguments; found by PATH in the world.",
    )
    directory: WorldPath = Field(
        default_factory=unwritten, description='Where it starts, in the world; "/" unless said.'
    )
    environment: dict[Variable, Argument] = Field(
        default_factory=unwritten,
        description="Its environment. Nothing of the caller's environment is passed on by itself.",
    )
    user: Literal["app", "root"] = Field(
        default_factory=unwritten,
        description="Who it is inside: uid 1000, unless said, or uid 0 with rights over its own ids alone.",
    )
    hostname: Annotated[str, checked(values.host_name)] = Field(
        default_factory=unwritten, description="The world's host name."
    )
    name: Annotated[str, checked(values.world_name)] = Field(
        default_factory=unwritten, description="The name by which libos ps, exec and kill find it."
    )
    introspect: bool = Field(
        default_factory=unwritten,
        description="Show it its namespace, its grants and its refusals, as files in /mnt/ns.",
    )
    control: bool = Field(
        default_factory=unwritten,
        description="Let it rearrange and drop what it holds, through /mnt/ns/ctl; it can gain nothing.",
    )
    keep: Annotated[str, checked(values.keep_name)] = Field(
        default_factory=unwritten,
        description="Keep its changes to copy-on-write mounts under this name: libos diff, commit, discard.",
    )
    clearance: Label = Field(default_factory=unwritten, description="The highest label that it may run at.")
    level: Label = Field(
        default_factory=unwritten,
        description="The label that it runs at; its clearance unless said, or the lowest.",
    )
    record: bool = Field(
        default_factory=unwritten,
        description="Tell each use of a path of its mounts by an event; every file is then served.",
    )
    ambient: bool = Field(
        default_factory=unwritten,
        description="false: no network, and a descriptor by which the program gives up all names.",
    )


class MountTable(Table):
    """One source at one place. Exactly one of host, image, text, bytes, memory, bind, service and p9 says
    what it is."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in SOURCE_KEYS]})

    at: Annotated[str, checked(values.place)] = Field(description="The mount point: an absolute path.")
    host: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="A file or directory of the host, relative to the manifest's folder; ~ is your home.",
    )
    image: Annotated[str, checked(values.image)] = Field(
        default_factory=unwritten,
        description='The file tree of an image: "oci:DIR", "oci-archive:FILE", or a tar of one layer.',
    )
    path: WorldPath = Field(
        default_factory=unwritten, description='Of an image, what stands at this path; "/" unless said.'
    )
    text: str = Field(default_factory=unwritten, description="A file with this text.")
    bytes: Annotated[str, checked(values.base64_bytes)] = Field(
        default_factory=unwritten, description="A file with these bytes, in base64."
    )
    memory: Annotated[int | str, checked(values.size)] = Field(
        default_factory=unwritten,
        description='An empty writable directory in memory, of at most this size: "64M".',
    )
    bind: WorldPath = Field(
        default_factory=unwritten,
        description="What the world itself shows at this path, a second time.",
    )
    service: Annotated[str, checked(values.service)] = Field(
        default_factory=unwritten,
        description='A unix socket that leads outside: to "unix!/run/postgresql/.s.PGSQL.5432" or '
        '"tcp!HOST!PORT".',
    )
    p9: Annotated[str, checked(values.service)] = Field(
        default_factory=unwritten,
        description='What a file server serves by 9P2000.L: "unix!/PATH" or "tcp!HOST!PORT".',
    )
    mode: Literal["read-only", "read-write", "copy-on-write"] = Field(
        default_factory=unwritten,
        description="What the app may do: read-only unless said. Changes to a copy-on-write end with it.",
    )
    optional: bool = Field(False, description="Leave the mount out where the host does not have the source.")
    order: Literal["replace", "before", "after"] = Field(
        default_factory=unwritten,
        description="Join what is mounted at this path already, as a union: before it or after it.",
    )
    hide: Patterns = Field(
        default_factory=unwritten,
        min_length=1,
        description='Absent for the app, also what comes later: gitignore patterns, as ["**/.env"].',
    )
    only: Patterns = Field(
        default_factory=unwritten,
        min_length=1,
        description="All else is absent: gitignore patterns.",
    )
    append_only: bool = Field(False, description="Files grow and lose nothing.")
    count: CountTable = Field(
        default_factory=unwritten, description="What may pass: the exit event tells what did."
    )
    quota: QuotaTable = Field(default_factory=unwritten, description="What a writable mount may hold.")
    audit: bool = Field(False, description="An event for each operation.")
    label: Label = Field(
        default_factory=unwritten, description='No read up, no write down: "secret:nuclear", see [labels].'
    )
    type: Name = Field(
        default_factory=unwritten, description="Its type: what a program may do with it, [[allow]] says."
    )
    exec: ExecTable = Field(
        default_factory=unwritten, description="Execute only files that pass a check, made before the start."
    )
    ask: bool | AskTable = Field(
        default_factory=unwritten, description="Opening waits for your answer: libos ask."
    )
    fault: FaultTable = Field(
        default_factory=unwritten, description="Errors and delays, to see how a program behaves."
    )
    replaceable: bool = Field(
        False,
        description="Let a read-write file be replaced by renaming another one over it, as editors do.",
    )
    revocable: bool = Field(
        False, description="Serve it, so that taking it back fails what is open of it too."
    )


class PythonMountTable(MountTable):
    """A mount as Python code may say it."""

    bytes: Annotated[str | builtins.bytes, checked(values.base64_bytes)] = Field(  # type: ignore[assignment]  # wider
        default_factory=unwritten
    )
    node: Any = None
    service: Annotated[str | Callable[..., Any], checked(values.service_or_function)] = Field(  # type: ignore[assignment]  # wider
        default_factory=unwritten
    )
    function: InstanceOf[Callable[..., Any]] = Field(default_factory=unwritten)


class DialTable(HttpKeys):
    """What the app may connect to. It can reach nothing else."""

    to: Annotated[str, checked(values.dial_target)] = Field(
        description='The address in the form of dial(2), as "tcp!api.example.com!443"; "*.example.org" is '
        'one label, "**.example.org" one or more, "10.0.0.0/8" a range; ports as "80,8000-8010".'
    )
    deny: list[Annotated[str, checked(values.dial_target)]] = Field(
        default_factory=unwritten, description="What it does not cover after all."
    )
    via: Annotated[str, checked(values.via)] = Field(
        default_factory=unwritten,
        description='Another way outside: an address as "tcp!127.0.0.1!9000", "unix!/run/x.sock", '
        '"socks5://HOST:PORT" or "http://HOST:PORT" (CONNECT).',
    )
    private: bool = Field(
        False, description="The name may lead to private, loopback and link-local addresses."
    )
    connections: Annotated[int, checked(values.count)] = Field(
        default_factory=unwritten, description="Connections that may be open at once."
    )
    sent: Annotated[int | str, checked(values.amount)] = Field(
        default_factory=unwritten, description='Bytes that may go out in all: "10M".'
    )
    received: Annotated[int | str, checked(values.amount)] = Field(
        default_factory=unwritten, description='Bytes that may come in, in all: "1G".'
    )
    rate: Annotated[int | str, checked(values.rate)] = Field(
        default_factory=unwritten, description='Bytes a second each way: "1M", or bits: "8Mbit".'
    )
    ask: bool | AskTable = Field(
        default_factory=unwritten, description="The first connection waits for your answer: libos ask."
    )
    label: Label = Field(
        default_factory=unwritten, description="It can be dialed by an app that runs at this label."
    )


class PythonDialTable(DialTable, PythonHttpKeys):
    """A dial as Python code may say it: `via` may be an async function that gets the stream."""

    via: Annotated[Any, checked(values.via)] = Field(default_factory=unwritten)


class ListenTable(Table):
    """A port of the app that can be reached from outside."""

    port: Annotated[int, checked(values.port)] = Field(description="The port on which the app listens.")
    publish: Annotated[int | str | bool, checked(listening.published)] = Field(
        default_factory=unwritten,
        description='Where it is reached on the host: "IP:PORT", "unix:/run/user/1000/app.sock", or false '
        "for nowhere; the same port on 127.0.0.1 unless said.",
    )
    network: Literal["tcp", "udp"] = Field(default_factory=unwritten, description="tcp unless said.")
    proxy_protocol: bool = Field(
        False, description="Tell the app who connects, by a header of the PROXY protocol, version 2."
    )
    label: Label = Field(
        default_factory=unwritten, description="It is published where the app runs at this label."
    )


class ManifestFile(Table):
    """A libos manifest: what one app gets. What is not in it does not exist for the app."""

    libos: Annotated[int, checked(values.version)] = Field(
        description="The version of the manifest's grammar.", json_schema_extra={"const": 1}
    )
    include: list[str] = Field(
        default_factory=unwritten,
        description='Profiles by name, files by path, and removals: "-/tmp", "-tcp!host!80", "-tcp!*!8000".',
    )
    app: AppTable = Field(default_factory=unwritten)
    mount: list[MountTable] = Field(default_factory=unwritten)
    channel: list[ChannelTable] = Field(default_factory=unwritten)
    descriptor: list[DescriptorTable] = Field(default_factory=unwritten)
    dial: list[DialTable] = Field(default_factory=unwritten)
    listen: list[ListenTable] = Field(default_factory=unwritten)
    limits: LimitsTable = Field(default_factory=unwritten)
    allow_missing: list[Feature] = Field(
        default_factory=unwritten,
        description="What this host may lack without an error; the events tell of it: limits.memory.",
    )
    network: NetworkTable = Field(default_factory=unwritten)
    syscalls: SyscallsTable = Field(default_factory=unwritten)
    secret: list[SecretTable] = Field(default_factory=unwritten)
    labels: LabelsTable = Field(default_factory=unwritten)
    domain: list[DomainTable] = Field(default_factory=unwritten)
    allow: list[AllowTable] = Field(default_factory=unwritten)


class ManifestMapping(ManifestFile):
    """A manifest as Python code may say it."""

    libos: Annotated[int, checked(values.version)] = 1
    mount: list[PythonMountTable] = Field(default_factory=unwritten)  # type: ignore[assignment]
    dial: list[PythonDialTable] = Field(default_factory=unwritten)  # type: ignore[assignment]


class _Untitled(GenerateJsonSchema):
    """Without a title for each key, which would only repeat it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest file."""
    schema = ManifestFile.model_json_schema(schema_generator=_Untitled)
    return {"$schema": _Untitled.schema_dialect, **schema}
