"""Whatever stands in a manifest, loading it gives a manifest or one ManifestError."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from libos.errors import ManifestError
from libos.manifest import Manifest, from_mapping, from_options, load
from libos.plan import lower

WORDS = [
    "libos", "include", "app", "command", "directory", "environment", "hostname", "name",
    "mount", "at", "host", "text", "bytes", "memory", "mode", "optional",
    "dial", "to", "listen", "port", "publish", "limits", "time", "node", "function",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.sampled_from(
        ["/a", "/usr", "read-write", "64M", "tcp!a!80", "base", "-/tmp", "127.0.0.1:80", "10min", "./x"]
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
MAPPINGS = st.dictionaries(st.sampled_from(WORDS), ANYTHING, max_size=6)

# Mostly right, so that what stands behind the first checks is reached too.
MOUNTS = st.fixed_dictionaries(
    {"at": st.sampled_from(["/a", "/a/b", "/usr", "/usr/bin", "/etc/hosts", "/tmp"])},
    optional={
        "host": st.sampled_from(["/usr", "/etc/passwd", "/no/such", "."]),
        "memory": st.just(1),
        "text": st.just("x"),
        "mode": st.sampled_from(["read-only", "read-write", "copy-on-write"]),
        "optional": st.booleans(),
    },
)
NEARLY = st.fixed_dictionaries(
    {"mount": st.lists(MOUNTS, max_size=4)},
    optional={"include": st.lists(st.sampled_from(["base", "shell", "-/tmp", "-/usr"]), max_size=3)},
)


@settings(max_examples=300, deadline=None)
@given(MAPPINGS | NEARLY)
@example({"mount": [{"at": "/a", "host": "/usr", "optional": None}]})
@example({"mount": [[]], "app": [], "limits": 0, "include": [None]})
def test_any_mapping(mapping: dict[str, Any]) -> None:
    with contextlib.suppress(ManifestError):
        manifest = from_mapping(mapping)
        assert isinstance(manifest, Manifest)
        lower(manifest).json()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(alphabet="[]{}=\"'.,#\n \\abu01-_", max_size=40).map(str.encode))
def test_any_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    with contextlib.suppress(ManifestError):
        load(path)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["/usr:/a", "/usr:/a:rw", "1:2", "A=1", "tcp!a!1"]), max_size=3
    )
)
def test_any_options(texts: list[str]) -> None:
    with contextlib.suppress(ManifestError):
        from_options(
            Manifest(),
            command=texts,
            mounts=texts,
            environment=texts,
            dials=texts,
            publish=texts,
            include=texts,
        )


@pytest.mark.parametrize("wrong", [None, 3, "text", []])
def test_a_mapping_that_is_no_mapping(wrong: Any) -> None:
    with pytest.raises(ManifestError, match="a manifest is a table"):
        from_mapping(wrong)


def test_a_mapping_that_contains_itself() -> None:
    mapping: dict[str, Any] = {}
    mapping["app"] = mapping
    for load_it in (from_mapping, from_options):
        with pytest.raises(ManifestError, match="nested without end"):
            load_it(mapping)
