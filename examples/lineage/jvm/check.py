"""A policy file says what code may do by where it comes from; a refusal is an exception."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property
from probing import made, read, said

import libos

TITLE = "JVM sandbox, 1995: permissions by where code comes from"
HERE = Path(__file__).parent
MANIFEST, POLICY = HERE / "sandbox.toml", HERE / "policy.toml"
DENIED = 'access denied (FilePermission "/private/diary", "read")'

PROPERTIES = {
    "policy": Property(
        "what the policy file grants to an origin its code may do",
        "the policy file grants nothing",
        lambda saw: len(saw) == 3,
    ),
    "error": Property(
        "what it does not grant is refused as an exception, which names the permission; the program goes on",
        "what the program wants has no type, so no permission is needed",
        lambda saw: saw == [DENIED],
    ),
    "outside": Property(
        "the check is not the program's own: who does not ask first is refused in the same way",
        "the policy grants it",
        lambda saw: saw == "reading it all the same: Permission denied",
    ),
    "origin": Property(
        "code of another origin has the permissions of its own, in the same world and for the same user",
        "its program is of no origin that the policy names",
        lambda saw: saw == "code of another origin: dear diary",
    ),
}


def sandbox(without: str | None) -> libos.Manifest:
    """The manifest with its policy in place of the include, and one property taken away."""
    value, policy = read(MANIFEST), read(POLICY)
    value["include"] = ["python"]
    value |= {"domain": policy["domain"], "allow": policy["allow"]}
    private = value["mount"][-1]
    match without:
        case "policy":
            value["allow"] = value["allow"][-1:]
        case "error":
            del private["type"]
            value["allow"] = value["allow"][:-1]
        case "outside":
            value["allow"].append({"domain": "applet", "type": "home", "to": ["read"]})
        case "origin":
            value["domain"][1]["programs"] = ["/usr/bin/true"]
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the applet, and sort what it says."""
    lines = (await said(supervisor, sandbox(without))).splitlines()
    return {
        "policy": [line for line in lines if line.startswith("granted") and "/private" not in line],
        "error": [line for line in lines if line.startswith("access denied") and "/private" in line],
        "outside": lines[-2],
        "origin": lines[-1],
    }
