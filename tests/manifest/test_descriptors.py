"""What a manifest may say of descriptors and of a program without names."""

from __future__ import annotations

from typing import Any

import pytest

import libos
from libos.plan import Plan, lower


def planned(app: dict[str, Any], **tables: Any) -> Plan:
    return lower(libos.from_mapping({"app": {"command": ["x"], "ambient": False, **app}, **tables}))


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (["append", "write", "seek"], "write one of append and write"),
        (["write"], 'to write anywhere takes "seek" too'),
        (["append", "seek"], "what is appended has no place to seek"),
        (["seek"], "to seek alone is nothing"),
        ([], '"rights" is empty'),
        (["execute"], 'is "read", "append", "write" or "seek"'),
    ],
)
def test_rights_that_make_no_sense_together(rights: list[str], said: str) -> None:
    with pytest.raises(libos.ManifestError, match=said):
        planned({}, descriptor=[{"name": "a", "rights": rights}])


@pytest.mark.parametrize(
    ("app", "tables", "said"),
    [
        ({}, {"dial": [{"to": "tcp!a!1"}]}, "means no network"),
        ({}, {"listen": [{"port": 1}]}, "means no network"),
        ({}, {"mount": [{"at": "/s", "service": "tcp!a!1"}]}, "means no network"),
        ({"directory": "/proc"}, {}, "starts in /"),
        ({"ambient": True}, {"descriptor": [{"name": "a", "rights": ["read"]}]}, "write ambient = false"),
        ({}, {"descriptor": [{"name": "enter", "rights": ["read"]}]}, "choose another name"),
        ({}, {"descriptor": [{"name": "a:b", "rights": ["read"]}]}, "is no name of a descriptor"),
        ({}, {"descriptor": [{"name": "a", "rights": ["read"]}] * 2}, '"a" is a descriptor of'),
    ],
)
def test_what_goes_with_no_ambient_authority(app: dict[str, Any], tables: dict[str, Any], said: str) -> None:
    with pytest.raises(libos.ManifestError, match=said):
        planned(app, **tables)


def test_descriptors_are_opened_by_their_rights() -> None:
    descriptor = [
        {"name": "a", "rights": ["read"]},
        {"name": "b", "rights": ["append"]},
        {"name": "c", "rights": ["read", "write", "seek"]},
    ]
    opened = [(name, flags) for name, _, flags in planned({}, descriptor=descriptor).descriptors]
    assert opened == [("a", 0), ("b", 1), ("c", 2), ("enter", 1)]
