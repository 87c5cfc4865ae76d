"""What labels make of a manifest, by comparing values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from libos.errors import ManifestError
from libos.manifest import from_mapping, load
from libos.namespace import Audited, Labelled
from libos.plan import Bind, Plan, Tmpfs, lower

LEVELS = {"levels": ["public", "secret"], "categories": ["nuclear", "crypto"]}


def plan(folder: Path, level: str, mounts: list[dict[str, Any]], **more: Any) -> Plan:
    value = {"labels": LEVELS, "app": {"level": level}, "mount": mounts, **more}
    return lower(from_mapping(value, base=folder))


def decided(found: Plan) -> dict[str, tuple[bool, bool]]:
    """What each labelled mount lets the app do: read, write."""
    layers = ((each.at, layer) for each in found.served for layer in each.layers)
    return {at: (layer.reads, layer.writes) for at, layer in layers if isinstance(layer, Labelled)}


def errors(value: Mapping[str, Any], folder: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        lower(from_mapping(value, base=folder))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("public", {"/low": (True, True), "/high": (False, True), "/apart": (False, True)}),
        ("secret", {"/low": (True, False), "/high": (True, True), "/apart": (False, True),
                    "/rw": (True, False)}),
        ("secret:crypto", {"/low": (True, False), "/high": (True, False), "/apart": (False, False),
                           "/rw": (True, False)}),
    ],
)  # fmt: skip
def test_each_mount_is_decided_by_its_label(
    tmp_path: Path, level: str, expected: dict[str, tuple[bool, bool]]
) -> None:
    labels = {"/low": "public", "/high": "secret", "/apart": "secret:nuclear"}
    for name in (*labels, "/rw", "/ro"):
        (tmp_path / name[1:]).mkdir()
    mounts = [
        {"at": at, "host": at[1:], "mode": "read-write", "label": label} for at, label in labels.items()
    ]
    mounts += [{"at": "/rw", "host": "rw", "mode": "read-write"}, {"at": "/ro", "host": "ro"}]
    mounts += [{"at": "/memory", "memory": "1M"}]
    found = plan(tmp_path, level, mounts)
    assert decided(found) == expected
    kernel = {step.at for step in found.steps if isinstance(step, (Bind, Tmpfs))}
    assert kernel == {"/ro", "/memory"} | ({"/rw"} if level == "public" else set())


def test_the_audit_sees_what_the_label_refuses(tmp_path: Path) -> None:
    found = plan(tmp_path, "public", [{"at": "/d", "host": ".", "label": "secret", "audit": True}])
    (served,) = [each for each in found.served if each.at == "/d"]
    assert [type(layer) for layer in served.layers] == [Labelled, Audited]


def test_what_leads_outside_is_there_at_its_own_label_alone(tmp_path: Path) -> None:
    ways = {
        "dial": [{"to": "tcp!low!1"}, {"to": "tcp!high!1", "label": "secret"}],
        "listen": [{"port": 1}, {"port": 2, "label": "secret"}],
    }
    mounts = [
        {"at": "/low", "service": "tcp!low!1"},
        {"at": "/high", "service": "tcp!high!1", "label": "secret"},
    ]
    for level, kept, gone in (("public", "low", "high"), ("secret", "high", "low")):
        found = plan(tmp_path, level, mounts, **ways)
        assert [str(rule.to) for rule in found.dials] == [f"tcp!{kept}!1"]
        assert [each.port for each in found.listens] == [1 if kept == "low" else 2]
        assert [mount.at for mount in found.namespace if mount.at in ("/low", "/high")] == [f"/{kept}"]
        assert found.labelling is not None
        refused = {(each.operation, each.what) for each in found.labelling.refused}
        assert refused >= {("dial", f"tcp!{gone}!1"), ("service", f"/{gone}")}
        told = {line.at for line in found.lines if line.mechanism == "refused"}
        assert told == {each.what for each in found.labelling.refused}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"labels": {"levels": ["a", "b", "a"]}}, "the levels lead round in a cycle: "),
        ({"app": {"level": "a"}}, "no labels are declared: write [labels]"),
        ({"dial": [{"to": "tcp!h!1", "label": "a"}]}, "no labels are declared: write [labels]"),
        ({"labels": LEVELS, "app": {"level": "top"}}, 'no level is named "top"'),
        ({"labels": LEVELS, "listen": [{"port": 1, "label": "public:x"}]}, 'no category is named "x"'),
        ({"labels": LEVELS, "app": {"level": "secret", "clearance": "public"}}, "its clearance is public"),
        ({"mount": [{"at": "/a", "bind": "/b", "label": "a"}]}, "a bind shows what is there with the label"),
        ({"mount": [{"at": "/a", "text": "", "label": "a:"}]}, '"a:" is no label'),
        ({"labels": {"levels": ["a b"]}}, '"a b" names no level or category'),
        ({"labels": {"levels": []}}, '"levels" is empty'),
    ],
)
def test_what_is_wrong_is_one_clear_error(tmp_path: Path, value: dict[str, Any], message: str) -> None:
    assert [message in line for line in errors(value, tmp_path)] == [True]


def test_included_levels_that_contradict_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('libos = 1\n[labels]\nlevels = ["low", "high"]\n')
    (tmp_path / "b.toml").write_text(
        'libos = 1\ninclude = ["./a.toml"]\n[labels]\nlevels = ["high", "low"]\n'
    )
    with pytest.raises(ManifestError, match=r"b\.toml:3:1: the levels lead round in a cycle"):
        lower(load(tmp_path / "b.toml"))


def test_one_file_has_one_label(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    outer = {"at": "/out", "host": "."}
    inner = {"at": "/in", "host": "in", "label": "secret"}
    value = {"labels": LEVELS, "mount": [outer, inner]}
    (line,) = errors(value, tmp_path)
    assert f'"{tmp_path}/in" is secret here, and public in "/out"' in line
    covered = [outer, inner | {"at": "/out/in"}]
    assert lower(from_mapping(value | {"mount": covered}, base=tmp_path)).labelling is not None
    errors(value | {"mount": covered, "app": {"control": True}}, tmp_path)
