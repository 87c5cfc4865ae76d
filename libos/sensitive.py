"""What holds secrets, or hands over the account or the machine, by its path. Pure.

Rules: the lists are of names, by custom of the programs that write them, each with its reason, which people
are shown. They cannot know every secret: what a program keeps under a name of its own choice is not in them.
docs/how-to/learn-a-manifest.md has those of secrets for people, and a test holds the two together.

Two questions are answered: what `is_secret` is not granted because of its neighbours, and what is
`sensitive` is not granted in passing: secrets, what hands over the machine, and what holds one of them, since
granting /home/me grants its keys too.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from types import MappingProxyType

# Directories below which everything is a secret, by their name or the end of their path.
DIRECTORIES = MappingProxyType(
    {
        ".ssh": "SSH keys",
        ".gnupg": "OpenPGP keys",
        ".aws": "credentials of a cloud",
        ".azure": "credentials of a cloud",
        ".kube": "credentials of clusters",
        ".docker": "credentials of registries",
        ".password-store": "passwords",
        ".terraform.d": "credentials of a cloud",
        ".config/gcloud": "credentials of a cloud",
        ".config/gh": "tokens of a code host",
        ".config/hub": "tokens of a code host",
        ".config/op": "passwords",
        ".config/rclone": "credentials of a cloud",
        ".local/share/keyrings": "passwords",
        ".mozilla": "cookies and passwords of a browser",
        ".config/google-chrome": "cookies and passwords of a browser",
        ".config/chromium": "cookies and passwords of a browser",
        ".thunderbird": "mail, and the passwords for it",
        ".electrum": "a wallet",
        ".bitcoin": "a wallet",
        "etc/ssl/private": "private keys of this machine",
        "etc/wireguard": "private keys of this machine",
        "run/secrets": "secrets of services",
        "var/lib/private": "secrets of services",
    }
)
# Files, by the pattern of their name.
FILES = MappingProxyType(
    {
        pattern: why
        for why, patterns in {
            "settings with secrets in them": (".env", ".env.*", "wp-config.php", "secrets.*"),
            "keys": ("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.ovpn"),
            "an SSH key": ("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
            "this machine's host keys": ("ssh_host_*_key",),
            "keys of services": ("krb5.keytab", "*.keytab", "master.key"),
            "passwords": ("*.kdbx", ".htpasswd"),
            "passwords of hosts": (".netrc", "_netrc"),
            "passwords of repositories": (".git-credentials",),
            "passwords of databases": (".pgpass", ".my.cnf"),
            "tokens of package registries": (".npmrc", ".yarnrc.yml", ".pypirc", "pip.conf"),
            "credentials of registries": (".dockercfg", ".dockerconfigjson"),
            "credentials of a cloud": (".s3cfg", ".boto", "terraform.tfstate*"),
            "credentials": ("credentials", "credentials.*", ".vault-token"),
            "the passwords of this machine": ("shadow", "shadow-", "gshadow", "gshadow-"),
            "what was typed, passwords among it": ("*_history", ".*_history"),
        }.items()
        for pattern in patterns
    }
)
# What the patterns take in and everybody may read: certificates and public keys, examples, and modules of
# programming languages that are about secrets.
OPEN = ("*.pub", ".env.example", ".env.sample", ".env.template", "secrets.py", "secrets.pyi", "secrets.*.pyc")
# Below directories of these names stand packages that were installed; of these the modules that are about
# secrets, and the certificates of public authorities (certifi's), are none.
INSTALLED = ("site-packages", "dist-packages", "node_modules")
OPEN_INSTALLED = ("credentials.py", "credentials.pyi", "credentials.*.pyc", "cacert.pem")
# Below these, files of the operating system alone: certificates (*.pem) and the like, readable by all.
SYSTEM = ("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/ssl/certs/", "/etc/alternatives/")
# What is no secret itself, and hands over the machine or what others do on it.
MACHINE = MappingProxyType(
    {
        "/etc/sudoers": "who may become root",
        "/etc/ssh": "this machine's host keys",
        "/proc/kcore": "the machine's memory",
        "/var/run/docker.sock": "whoever reaches it is root on this machine",
        "/run/docker.sock": "whoever reaches it is root on this machine",
        "/run/containerd": "whoever reaches its socket is root on this machine",
        "/run/dbus": "the system's bus",
        "/run/user": "sockets of the sessions of users: agents, buses",
    }
)
_HOME = re.compile(r"(?:/home/[^/]+|/root)(?=/|$)")
# What holds homes.
_ABOVE_HOMES = ("/", "/home", "/root")
# The directories that stand at the root, and what hands over the machine.
_AT_ROOT = {f"/{name}": why for name, why in DIRECTORIES.items() if not name.startswith(".")} | MACHINE


def is_secret(path: str) -> bool:
    """Whether what stands at an absolute path of the host is, or stands in, what the lists name."""
    return _secret(path) is not None


def sensitive(path: str) -> str | None:
    """Why an absolute path must not be granted in passing; None where nothing is known against it."""
    path = path.rstrip("/") or "/"
    if why := _secret(path):
        return why
    below = f"{path.rstrip('/')}/"
    for place, why in _AT_ROOT.items():
        if f"{path}/".startswith(f"{place}/"):
            return why
        if place.startswith(below):
            return f"it holds {place}: {why}"
    home = _HOME.match(path)
    if path not in _ABOVE_HOMES and home is None:
        return None
    inside = path[home.end() + 1 :] if home else ""
    held = ((name, why) for name, why in DIRECTORIES.items() if name.startswith("."))
    return next(
        (f"it holds ~/{name}: {why}" for name, why in held if not inside or name.startswith(f"{inside}/")),
        None,
    )


def _secret(path: str) -> str | None:
    if path.startswith(SYSTEM):
        return None
    whole = f"{path}/"
    for directory, why in DIRECTORIES.items():
        if f"/{directory}/" in whole:
            return why
    name = path.rpartition("/")[2]
    installed = any(f"/{directory}/" in path for directory in INSTALLED)
    if any(fnmatchcase(name, pattern) for pattern in (*OPEN, *(OPEN_INSTALLED if installed else ()))):
        return None
    return next((why for pattern, why in FILES.items() if fnmatchcase(name, pattern)), None)
