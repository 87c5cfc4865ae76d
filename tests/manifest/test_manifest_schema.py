"""The JSON Schema, and what a complete manifest becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from libos.manifest import App, Dial, Limits, Listen, from_mapping, json_schema, load
from libos.manifest.schema import AppTable, ListenTable, ManifestFile, MountTable
from libos.namespace import (
    BytesSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    NodeSource,
    TextSource,
)

COMPLETE = """\
libos = 1

[app]
command = ["python3", "agent.py"]
directory = "/work"
environment = { LANG = "C.UTF-8" }
hostname = "agent"
name = "agent-1"

[[mount]]
at = "/work"
host = "project"
mode = "copy-on-write"

[[mount]]
at = "/etc/motd"
text = "hello"

[[mount]]
at = "/data"
bytes = "AAE="

[[mount]]
at = "/scratch"
memory = "64M"

[[mount]]
at = "/opt/x"
host = "/no/such"
optional = true

[[dial]]
to = "tcp!api.example.com!https"

[[listen]]
port = 8000
publish = "[::1]:80"

[limits]
time = "10min"
"""


def test_a_complete_manifest(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    path = tmp_path / "agent.toml"
    path.write_text(COMPLETE)
    manifest = load(path)
    assert manifest.app == App(
        ("python3", "agent.py"), "/work", {"LANG": "C.UTF-8"}, hostname="agent", name="agent-1"
    )
    assert manifest.mounts == (
        Mount("/work", HostSource(str(tmp_path / "project")), Mode.COPY_ON_WRITE),
        Mount("/etc/motd", TextSource("hello")),
        Mount("/data", BytesSource(b"\0\1")),
        Mount("/scratch", MemorySource(64 << 20), Mode.READ_WRITE),
        Mount("/opt/x", HostSource("/no/such"), optional=True),
    )
    assert [mount.origin for mount in manifest.mounts] == [f"{path}:{n}:1" for n in (10, 15, 19, 23, 27)]
    assert manifest.dials == (Dial("tcp!api.example.com!443"),)
    assert manifest.listens == (Listen(8000, "::1", 80),)
    assert manifest.limits == Limits(600)
    assert manifest.source == str(path)


def test_a_mapping_may_hold_what_only_python_has(tmp_path: Path) -> None:
    def answer() -> str:
        return ""

    node: Any = object()
    manifest = from_mapping(
        {
            "app": {"command": ("ls", tmp_path)},
            "mount": (
                {"at": "/f", "function": answer},
                {"at": "/n", "node": node, "mode": "read-write"},
                {"at": "/b", "bytes": b"\0"},
                {"at": "/h", "host": tmp_path},
                {"at": "/r", "host": "."},
            ),
        },
        base=tmp_path,
    )
    assert manifest.app.command == ("ls", str(tmp_path))
    assert [mount.source for mount in manifest.mounts] == [
        FunctionSource(answer),
        NodeSource(node),
        BytesSource(b"\0"),
        HostSource(str(tmp_path)),
        HostSource(str(tmp_path)),
    ]
    assert manifest.mounts[1].mode is Mode.READ_WRITE


def test_the_schema_is_json_and_has_every_key_with_what_it_means() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == set(ManifestFile.model_fields)
    assert schema["required"] == ["libos"]
    assert schema["properties"]["libos"]["const"] == 1
    for model in (AppTable, MountTable, ListenTable):
        table = schema["$defs"][model.__name__]
        assert table["additionalProperties"] is False
        assert set(table["properties"]) == set(model.model_fields)
        assert all("description" in key for key in table["properties"].values())
        assert all("default" not in key or key["default"] is not None for key in table["properties"].values())


def test_the_schema_holds_one_source_a_mount_and_no_python_keys() -> None:
    mount = json_schema()["$defs"]["MountTable"]
    assert [one["required"] for one in mount["oneOf"]] == [
        ["host"],
        ["image"],
        ["text"],
        ["bytes"],
        ["memory"],
        ["bind"],
        ["service"],
        ["p9"],
    ]
    assert not {"node", "function"} & set(mount["properties"])
