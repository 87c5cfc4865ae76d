"""Which files hold secrets: nothing that holds one is granted because of its neighbours.

The list is of names, by custom of the programs that write them. It cannot know every secret: what a program
keeps under a name of its own choice is not in it. docs/how-to/learn-a-manifest.md has the list for people,
and a test holds the two together.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

# Directories below which everything is a secret, by their name or the end of their path.
DIRECTORIES = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".password-store", ".terraform.d"),
    *(".config/gcloud", ".config/gh", ".config/hub", ".config/op", ".config/rclone", ".local/share/keyrings"),
    *(".mozilla", ".config/google-chrome", ".config/chromium", ".thunderbird", ".electrum", ".bitcoin"),
    *("etc/ssl/private", "etc/wireguard", "run/secrets", "var/lib/private"),
)
# Files, by the pattern of their name.
FILES = (
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "ssh_host_*_key", "*.ppk"),
    *(".netrc", "_netrc", ".git-credentials", ".npmrc", ".yarnrc.yml", ".pypirc", "pip.conf", ".pgpass"),
    *(".my.cnf", ".htpasswd", ".vault-token", ".dockercfg", ".dockerconfigjson", ".s3cfg", ".boto"),
    *("credentials", "credentials.*", "secrets.*", "shadow", "shadow-", "gshadow", "gshadow-", "krb5.keytab"),
    *("*.keytab", "terraform.tfstate*", "*_history", ".*_history", "wp-config.php", "master.key"),
)
# What the patterns take in and everybody may read: certificates and public keys, examples, and modules of
# programming languages that are about secrets.
OPEN = ("*.pub", ".env.example", ".env.sample", ".env.template", "secrets.py", "secrets.pyi", "secrets.*.pyc")
# Below these, files of the operating system alone: certificates (*.pem) and the like, readable by all.
SYSTEM = ("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/ssl/certs/", "/etc/alternatives/")


def is_secret(path: str) -> bool:
    """Whether what stands at an absolute path of the host is, or stands in, what the list names."""
    if path.startswith(SYSTEM):
        return False
    whole = f"{path}/"
    if any(f"/{directory}/" in whole for directory in DIRECTORIES):
        return True
    name = path.rpartition("/")[2]
    return _any(name, FILES) and not _any(name, OPEN)


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
