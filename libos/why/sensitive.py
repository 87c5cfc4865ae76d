"""Paths that hold secrets, or hand over the account or the machine. Pure.

Rules: a path is sensitive when it is one of these, lies below one, or holds one: granting /home/me grants its
keys too. "~" stands for every home. Each line has its reason, which people are shown; the list is in
docs/how-to/why-was-it-denied.md too.
"""

from __future__ import annotations

import re
from types import MappingProxyType

_HOME = r"(?:/home/[^/]+|/root)"

SENSITIVE = MappingProxyType(
    {
        "/etc/shadow": "the passwords of this machine",
        "/etc/gshadow": "the passwords of this machine's groups",
        "/etc/sudoers": "who may become root",
        "/etc/ssl/private": "private keys of this machine",
        "/etc/ssh": "this machine's host keys",
        "/proc/kcore": "the machine's memory",
        "/var/run/docker.sock": "whoever reaches it is root on this machine",
        "/run/docker.sock": "whoever reaches it is root on this machine",
        "/run/containerd": "whoever reaches its socket is root on this machine",
        "/run/dbus": "the system's bus",
        "/run/secrets": "secrets of services",
        "/run/user": "sockets of the sessions of users: agents, buses",
        "~/.ssh": "SSH keys",
        "~/.gnupg": "OpenPGP keys",
        "~/.aws": "credentials of a cloud",
        "~/.azure": "credentials of a cloud",
        "~/.config/gcloud": "credentials of a cloud",
        "~/.kube": "credentials of clusters",
        "~/.docker": "credentials of registries",
        "~/.netrc": "passwords of hosts",
        "~/.pgpass": "passwords of databases",
        "~/.my.cnf": "passwords of databases",
        "~/.git-credentials": "passwords of repositories",
        "~/.config/git/credentials": "passwords of repositories",
        "~/.config/gh": "tokens of a code host",
        "~/.npmrc": "tokens of package registries",
        "~/.pypirc": "tokens of package registries",
        "~/.cargo/credentials.toml": "tokens of package registries",
        "~/.password-store": "passwords",
        "~/.local/share/keyrings": "passwords",
        "~/.mozilla": "cookies and passwords of a browser",
        "~/.config/google-chrome": "cookies and passwords of a browser",
        "~/.config/chromium": "cookies and passwords of a browser",
        "~/.bash_history": "what was typed, passwords among it",
        "~/.zsh_history": "what was typed, passwords among it",
    }
)
# Names that hold secrets wherever they stand.
_NAMES = (
    (re.compile(r"/\.env(\.[^/]*)?$"), "settings with secrets in them"),
    (re.compile(r"/id_(rsa|dsa|ecdsa|ed25519)(_sk)?$"), "an SSH key"),
    (re.compile(r"\.(pem|key|p12|pfx|kdbx)$"), "keys"),
)


def sensitive(path: str) -> str | None:
    """Why a path must not be granted in passing; None where nothing is known against it."""
    for pattern, why in _NAMES:
        if pattern.search(path):
            return why
    below = path.rstrip("/") + "/"
    for place, why in SENSITIVE.items():
        home, end = place.startswith("~"), re.escape(place.removeprefix("~"))
        if re.match(f"{_HOME if home else ''}{end}(/|$)", path):
            return why
        if home and re.fullmatch(r"/|/home/?|/root/?|/home/[^/]+/?", path):
            return f"it holds {place}: {why}"
        if (
            home
            and (inside := re.match(f"{_HOME}(/.*)$", path))
            and place[1:].startswith(inside[1].rstrip("/") + "/")
        ):
            return f"it holds {place}: {why}"
        if not home and place.startswith(below):
            return f"it holds {place}: {why}"
    return None
