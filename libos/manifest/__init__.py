"""Manifests: what one app gets, as typed values.

    load(path)                 a TOML file, with what it includes
    from_mapping(mapping)      the same thing as a Python value
    load_namespace(path)       a file of namespace(6)
    from_options(...)          what a command line says, over a manifest or over a profile
    json_schema()              the JSON Schema of a manifest file

All of them give a `Manifest` or raise one `ManifestError` that holds every error, a line each. Nothing here
starts anything; the host is only asked which files exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libos.manifest.load import from_mapping, load
from libos.manifest.model import App, Dial, Limits, Listen, Manifest, Network
from libos.manifest.options import from_options
from libos.manifest.profiles import profile_names

if TYPE_CHECKING:
    from typing import Any

    from libos.manifest.namespace_file import load_namespace

__all__ = [
    "App",
    "Dial",
    "Limits",
    "Listen",
    "Manifest",
    "Network",
    "from_mapping",
    "from_options",
    "json_schema",
    "load",
    "load_namespace",
    "profile_names",
]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a manifest file, made from the models that check one."""
    from libos.manifest.schema import json_schema as build  # pydantic: 30 ms, only where it is needed

    return build()


def __getattr__(name: str) -> Any:
    if name == "load_namespace":
        from libos.manifest.namespace_file import load_namespace  # 5 ms, for files of namespace(6) alone

        return load_namespace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
