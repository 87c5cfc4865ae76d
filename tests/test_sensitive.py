"""The lists of secrets and of what hands over the machine, and that the document for people has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libos import sensitive as lists
from libos.sensitive import is_secret, sensitive

DOCUMENT = Path(__file__).parents[1] / "docs/how-to/learn-a-manifest.md"


@pytest.mark.parametrize(
    "path",
    ["/home/me/.ssh", "/home/me/.ssh/config", "/srv/app/.env", "/srv/app/.env.production", "/x/server.pem"]
    + ["/home/me/.aws/credentials", "/home/me/.config/gh/hosts.yml", "/home/me/.bash_history", "/etc/shadow"]
    + ["/home/me/.npmrc", "/home/me/.pypirc", "/etc/pip.conf", "/etc/ssl/private/x"]
    + ["/srv/app/cacert.pem", "/srv/app/credentials.py", "/srv/node_modules/x/.env"],
)
def test_secrets(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize(
    "path",
    ["/home/me/work/main.c", "/srv/app/.env.example", "/etc/ssl/certs/ca.pem", "/usr/lib/python3/secrets.py"]
    + ["/home/me/.config/git/config", "/home/me/sshx", "/etc/passwd", "/home/me/x/environment", "/x/.envrc"],
)
def test_no_secrets(path: str) -> None:
    assert not is_secret(path)


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/home/me/.ssh/id_rsa", "/home/me/.ssh", "/home/me", "/home", "/root", "/", "/etc",
     "/work/.env", "/work/server.pem", "/home/me/.config", "/run", "/var/run/docker.sock", "/x/id_ed25519",
     "/home/me/.config/rclone/rclone.conf", "/etc/wireguard", "/var/lib", "/home/me/"],
)  # fmt: skip
def test_secrets_are_known_and_what_holds_them(path: str) -> None:
    assert sensitive(path)


@pytest.mark.parametrize("path", ["/usr", "/opt", "/home/me/project", "/etc/hosts", "/tmp", "/work/.envrc"])
def test_what_holds_no_secret_is_not_sensitive(path: str) -> None:
    assert sensitive(path) is None


def test_the_document_has_the_whole_list() -> None:
    table = DOCUMENT.read_text().partition("## Secrets")[2]
    told = re.findall(r"`([^`]+)`", "".join(line for line in table.splitlines() if line.startswith("|")))
    listed = [*lists.DIRECTORIES, *lists.FILES, *lists.OPEN, *lists.SYSTEM]
    listed += [*lists.INSTALLED, *lists.OPEN_INSTALLED]
    assert sorted(told) == sorted(listed)
