"""The tables of HTTP rules and of secrets; see `libos.net.http` for what each means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, InstanceOf

from libos.manifest import values, web
from libos.manifest.schema_base import Argument, Table, Variable, WorldPath, checked, unwritten


class HttpTable(Table):
    """Which requests a rule is about; what it does not say is any. The first that fits decides."""

    method: list[Annotated[str, checked(web.method)]] = Field(
        default_factory=unwritten, min_length=1, description='Methods: ["GET", "HEAD"].'
    )
    path: Annotated[str, checked(web.request_path)] = Field(
        default_factory=unwritten,
        description='The path without its query: "/v1/**"; * stands for what has no /, ** for anything.',
    )
    host: Annotated[str, checked(web.request_host)] = Field(
        default_factory=unwritten, description='The host, where the grant has several: "*.example.org".'
    )
    upgrade: bool = Field(
        False, description="Let the connection become another protocol's: WebSocket, CONNECT."
    )
    action: Literal["allow", "refuse"] = Field(default_factory=unwritten, description="allow unless said.")


class HttpKeys(Table):
    """What a dial may say of HTTP."""

    http: list[HttpTable] = Field(
        default_factory=unwritten,
        description="Carry HTTP/1.1 only, and of it what these rules let pass; [] is nothing.",
    )
    tls: bool = Field(
        default_factory=unwritten, description="Whether HTTP goes over TLS: on every port but 80 unless said."
    )
    ca: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten,
        description="A file of certificate authorities that are trusted outside, besides the system's.",
    )


class PythonHttpKeys(Table):
    """What Python code may say besides."""

    http_request: InstanceOf[Callable[..., Any]] = Field(default_factory=unwritten)
    http_response: InstanceOf[Callable[..., Any]] = Field(default_factory=unwritten)


class SecretTable(Table):
    """A secret that the app uses and never sees: it holds a placeholder, the supervisor puts in the value."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [key]} for key in web.SECRET_SOURCES]}
    )

    name: Annotated[str, checked(web.secret_name)] = Field(
        description="Its name, and the variable of the app's environment that holds the placeholder."
    )
    header: Annotated[str, checked(web.header)] = Field(
        description='The header in which the value takes the placeholder\'s place: "Authorization".'
    )
    to: list[Annotated[str, checked(values.dial_target)]] = Field(
        min_length=1, description='Where the value may go: the "to" of dial grants.'
    )
    environment: Variable = Field(
        default_factory=unwritten, description="The variable of your environment that has the value."
    )
    file: Annotated[str, checked(values.host_path)] = Field(
        default_factory=unwritten, description="The file that has it, relative to the manifest's folder."
    )
    command: list[Argument] = Field(
        default_factory=unwritten, min_length=1, description="The command that prints it; run as you."
    )
    at: WorldPath = Field(
        default_factory=unwritten, description="A file in the world that holds the placeholder too."
    )
