"""A root inside does what packages are made and fetched with: dpkg-buildpackage, and apt, whose methods
become the user _apt."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import test_subids
from accounts import Account
from test_superuser import host_copies, package, with_dpkg
from worlds import Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

with_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt-get")
with_building = pytest.mark.skipif(
    shutil.which("dpkg-buildpackage") is None, reason="this machine has no dpkg-buildpackage (dpkg-dev)"
)

# A source package that takes nothing but dpkg and make.
SOURCE = {
    "control": """Source: libos-hello
Maintainer: Nobody <nobody@localhost>
Standards-Version: 4.6.2

Package: libos-hello
Architecture: all
Description: says hello
""",
    "changelog": """libos-hello (1) unstable; urgency=low

  * The first.

 -- Nobody <nobody@localhost>  Thu, 01 Jan 2026 00:00:00 +0000
""",
    "source/format": "3.0 (native)\n",
    "rules": """#!/usr/bin/make -f
top = debian/libos-hello
binary binary-indep:
\tinstall -D -m 755 -o 0 -g 0 debian/hello $(top)/usr/bin/libos-hello
\tmkdir -p $(top)/DEBIAN
\tdpkg-gencontrol -plibos-hello -P$(top)
\tdpkg-deb --root-owner-group --build $(top) ..
binary-arch build build-indep build-arch:
clean:
\trm -rf $(top) debian/files
""",
    "hello": "#!/bin/sh\necho hello\n",
}
BUILD = """set -e
cp -r /packages/hello /tmp
cd /tmp/hello
dpkg-buildpackage -us -uc -b >&2
dpkg-deb -c ../libos-hello_1_all.deb | grep -c ' root/root .*/usr/bin/libos-hello$'
if [ $INSTALL = yes ]; then dpkg -i ../libos-hello_1_all.deb >&2; libos-hello; fi
touch /usr/bin/of-the-copy 2>/dev/null || echo kept out
"""


@with_dpkg
@with_building
def test_a_package_is_built_and_root_installs_it(as_user: Account, worlds: Worlds) -> None:
    for path, text in SOURCE.items():
        file = as_user.folder / "hello" / "debian" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if path == "rules" else 0o644)
    manifest = host_copies(as_user.folder)
    of_root = as_user.uid == 0
    manifest["app"]["environment"]["INSTALL"] = "yes" if of_root else "no"
    result = worlds.run("sh", "-c", BUILD, manifest=manifest)
    # For an ordinary user's root the host's /usr is somebody else's, also in a copy.
    assert result.out == ("1\nhello\n" if of_root else "1\nkept out\n"), result.err
    assert not Path("/usr/bin/libos-hello").exists()


def repository(folder: Path) -> None:
    """Have in a folder a package and the list of it that apt reads."""
    package(folder)
    deb = folder / "hello.deb"
    told = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, capture_output=True, text=True).stdout
    data = deb.read_bytes()
    where = f"Filename: ./hello.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    (folder / "Packages").write_text(told + where)


FETCH = """set -e
rm -rf /etc/apt/sources.list.d /var/lib/apt/lists
mkdir -p /var/lib/apt/lists/partial
echo 'deb [trusted=yes] file:/packages ./' >/etc/apt/sources.list
apt-get -q update >&2
stat -c %U /var/lib/apt/lists/partial
apt-get -q install -y --no-install-recommends libos-hello >&2
libos-hello
"""


@with_dpkg
@with_apt
def test_apts_methods_are_the_user_apt_where_root_started_the_world(as_user: Account, worlds: Worlds) -> None:
    if as_user.uid != 0:
        pytest.skip("a root without ids of others cannot become _apt: the next test")
    repository(as_user.folder)
    manifest: dict[str, Any] = host_copies(as_user.folder)
    result = worlds.run("sh", "-c", FETCH, manifest=manifest)
    assert result.out == "_apt\nhello\n", result.err
    assert "unsandboxed" not in result.err


@with_dpkg
@with_apt
def test_a_root_that_is_alone_tells_apt_to_stay_root(as_user: Account) -> None:
    if as_user.uid == 0:
        pytest.skip("root has ids for all: the test before")
    test_subids.build_package(as_user.folder, gives_away=False)
    tried = {}
    for tool in ("apt-get install -y", "apt-get -o APT::Sandbox::User=root install -y"):
        (as_user.folder / "install.toml").write_text(test_subids.manifest(as_user.folder, tool))
        run = as_user.libos("run", "-T", "-u", "root", str(as_user.folder / "install.toml"))
        tried[tool] = as_user.run(run)
    refused, installed = tried.values()
    assert refused.returncode == 100
    assert "setgroups" in refused.stderr
    assert installed.stdout == "hello\n0:0\nStatus: install ok installed\n", installed.stderr
