"""Types and domains of a manifest, by comparing values; and rules from refusals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from libos.errors import ManifestError
from libos.events import Event
from libos.fs.layers import Call
from libos.fs.layers.typed import wanted
from libos.fs.memory import memory_tree
from libos.manifest import from_mapping
from libos.plan import lower
from libos.plan.policy import Policy, Program
from libos.why.rules import rules_of
from libos.why.writing import Writing

TYPED = {"at": "/data", "memory": "1M", "type": "data"}


def policy(folder: Path, **more: Any) -> Policy:
    value = {"mount": [TYPED, {"at": "/bin", "host": str(folder)}], **more}
    found = lower(from_mapping(value, base=folder)).policy
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "editor").touch()
    (tmp_path / "vi").symlink_to("editor")
    return tmp_path


def test_a_program_is_its_file_at_each_place_where_the_world_shows_it(folder: Path) -> None:
    mounts = [TYPED, {"at": "/bin", "host": "."}, {"at": "/tools", "host": "."}]
    domains = [{"name": "edit", "programs": ["/bin/vi"]}, {"name": "rest"}]
    allows = [
        {"domain": "edit", "type": "data", "to": ["read"]},
        {"domain": "edit", "type": "data", "to": ["write"]},
    ]
    found = policy(folder, mount=mounts, domain=domains, allow=allows)
    editor = Program("edit", str(folder / "editor"))
    assert found.programs == {"/bin/editor": editor, "/tools/editor": editor}
    assert found.others == "rest"
    asked = frozenset({"read", "remove"})
    assert found.refused("edit", "data", asked) == {"remove"}
    assert found.refused("rest", "data", asked) == asked == found.refused("", "data", asked)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"domain": [{"name": "a", "programs": ["/bin/ed"]}]}, '"/bin/ed" is not in the namespace'),
        ({"domain": [{"name": "a", "programs": ["/data"]}]}, "is no file of the host"),
        (
            {"domain": [{"name": "a", "programs": ["/bin/vi"]}, {"name": "b", "programs": ["/bin/editor"]}]},
            '"/bin/editor" has a domain already',
        ),
        ({"domain": [{"name": "a"}, {"name": "b"}]}, "another domain without programs has all"),
        ({"domain": [{"name": "a"}, {"name": "a", "programs": ["/bin/vi"]}]}, 'is named "a" already'),
        ({"allow": [{"domain": "a", "type": "data", "to": ["read"]}]}, 'no domain is named "a"'),
        (
            {"domain": [{"name": "a"}], "allow": [{"domain": "a", "type": "dat", "to": ["read"]}]},
            'no mount has the type "dat", did you mean "data"?',
        ),
        ({"allow": [{"domain": "a", "type": "data", "to": ["look"]}]}, 'not "look"'),
        (
            {"domain": [{"name": "a", "programs": ["/bin/vi"]}],
             "mount": [TYPED, {"at": "/bin", "host": "."}, {"at": "/w", "host": ".", "mode": "read-write"}]},
            'is shown by the mount at "/w", which is not read-only',
        ),
        (
            {"domain": [{"name": "a", "programs": ["/bin/vi"]}],
             "mount": [TYPED, {"at": "/bin", "host": ".", "hide": ["x"]}]},
            'is shown by the mount at "/bin", which is not read-only or has layers',
        ),
        ({"domain": [{"name": "a", "programs": ["/bin/vi"]}], "app": {"record": True}}, "libos itself"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_error(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        policy(folder, **more)
    (line,) = str(caught.value).splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("operation", "flags", "verbs"),
    [
        ("open", os.O_RDONLY, {"read"}),
        ("open", os.O_WRONLY | os.O_APPEND, {"write"}),
        ("open", os.O_RDWR, {"read", "write"}),
        ("open", os.O_RDONLY | os.O_TRUNC, {"read", "write"}),
        ("open", os.O_RDONLY | 0x20, {"execute"}),
        ("create", os.O_RDWR, {"create"}),
        ("symlink", 0, {"create"}),
        ("link", 0, {"create"}),
        ("remove", 0, {"remove"}),
        ("rename", 0, {"create", "remove"}),
        ("setattr", 0, {"write"}),
        ("removexattr", 0, {"write"}),
    ],
)
def test_an_operation_is_said_in_the_words_of_rules(operation: str, flags: int, verbs: set[str]) -> None:
    assert wanted(Call(operation, b"f", memory_tree(), flags=flags)) == verbs


def refusal(domain: str | None, kind: str, *verbs: str) -> Event:
    return Event("domain.refused", "w", {"domain": domain, "type": kind, "wanted": list(verbs)})


def test_rules_are_written_from_refusals() -> None:
    events = [
        refusal("edit", "data", "write"),
        Event("path.absent", "w", {"path": "/x"}),
        refusal("edit", "data", "read"),
        refusal(None, "data", "read"),
        refusal("rest", "logs", "create", "remove", "nonsense"),
    ]
    rules, nameless = rules_of(events)
    assert rules == [("edit", "data", ["read", "write"]), ("rest", "logs", ["create", "remove"])]
    assert nameless == 1
    text = 'libos = 1\n\n[[allow]]      # kept\ndomain = "edit"\ntype = "data"\nto = ["read"]\n'
    writing = Writing(text)
    assert [writing.rule(*rule) for rule in rules] == [True, True]
    assert writing.text == text.replace('["read"]', '["read", "write"]') + (
        '\n[[allow]]\ndomain = "rest"\ntype = "logs"\nto = ["create", "remove"]\n'
    )
    assert [writing.rule(*rule) for rule in rules] == [False, False]
