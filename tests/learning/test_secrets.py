"""The list of secrets, and that the document for people has exactly it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libos.learning import secrets

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/learn-a-manifest.md"


@pytest.mark.parametrize(
    "path",
    ["/home/me/.ssh", "/home/me/.ssh/config", "/srv/app/.env", "/srv/app/.env.production", "/x/server.pem"]
    + ["/home/me/.aws/credentials", "/home/me/.config/gh/hosts.yml", "/home/me/.bash_history", "/etc/shadow"]
    + ["/home/me/.npmrc", "/home/me/.pypirc", "/etc/pip.conf", "/etc/ssl/private/x"],
)
def test_secrets(path: str) -> None:
    assert secrets.is_secret(path)


@pytest.mark.parametrize(
    "path",
    ["/home/me/work/main.c", "/srv/app/.env.example", "/etc/ssl/certs/ca.pem", "/usr/lib/python3/secrets.py"]
    + ["/home/me/.config/git/config", "/home/me/sshx", "/etc/passwd", "/home/me/x/environment", "/x/.envrc"],
)
def test_no_secrets(path: str) -> None:
    assert not secrets.is_secret(path)


def test_the_document_has_the_whole_list() -> None:
    table = DOCUMENT.read_text().partition("## Secrets")[2]
    told = re.findall(r"`([^`]+)`", "".join(line for line in table.splitlines() if line.startswith("|")))
    listed = [*secrets.DIRECTORIES, *secrets.FILES, *secrets.OPEN, *secrets.SYSTEM]
    assert sorted(told) == sorted(listed)
