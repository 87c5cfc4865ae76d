"""The commands of `libos`, as its help shows them: by what a person wants to do, a line each.

Rules: every command stands here once, in the order in which a person meets it; its line fits beside its name
on a terminal of 80 columns and is no cut sentence. The module of a command is named as it is, with "_command"
behind and "_" for "-".
"""

from __future__ import annotations

SECTIONS: dict[str, dict[str, str]] = {
    "Run": {
        "run": "run a command, or the app of a manifest, in a world",
        "up": "start the worlds of a stack file",
        "down": "stop the worlds of a stack",
        "logs": "print what the worlds of a stack have printed",
        "warden": "serve containers over a unix socket",
        "exportfs": "serve a folder to worlds, from a process of its own",
    },
    "Write a manifest": {
        "learn": "run a program with all in reach, and write what it used",
        "bundle": "copy what a run uses into a root of its own",
        "trim": "find what a manifest grants and a run does not use",
        "allow": "write a grant into a manifest",
        "check": "say every error of a manifest",
        "schema": "print the JSON Schema of manifests",
    },
    "Before it runs": {
        "explain": "print what would be in force, with reasons",
        "holes": "list every way out of a world",
        "surface": "count what an app could touch, beside its peers",
        "ns": "print a namespace as namespace(6) text",
        "doctor": "say what this machine gives, and what mends it",
    },
    "See what it does": {
        "ps": "list running worlds",
        "why": "say which rule decided, and what would grant it",
        "trace": "print events as lines",
        "watch": "look at a world in the terminal",
        "view": "look at a world in the browser",
        "report": "make one page of a finished run",
        "diff-runs": "say what one run touched and another did not",
        "connections": "list open connections",
        "stats": "say what a world has used",
    },
    "Reach into a world": {
        "exec": "run a further command in it",
        "kill": "end it",
        "ask": "list and answer its questions",
        "grants": "list what it holds",
        "mount": "give it a file or a directory",
        "unmount": "take out what is mounted at a place",
        "dial": "let it connect to an address",
        "publish": "make a port of it reachable",
        "narrow": "take something from a grant",
        "revoke": "take a grant back",
    },
    "Learn": {
        "tour": "learn what isolation is, stop by stop, and be checked",
    },
    "Keep what it changed": {
        "diff": "show kept changes",
        "commit": "write kept changes to the host",
        "discard": "forget kept changes",
        "image": "unpack images, list and remove them, make one of changes",
    },
}
COMMANDS = tuple(name for section in SECTIONS.values() for name in section)
