"""Images from an OCI layout to a new one, by the command line, as root and as an ordinary user."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from accounts import Account
from layouts import layout, link, tar

import libos

pytestmark = pytest.mark.system

MANIFEST = '''\
libos = 1
include = ["base"]
[app]
command = ["sh", "-c", """
cat /srv/way/page; ls /srv /etc/of-image; id -u; cd /srv/way; echo two > page; rm old; exec cat"""]
keep = "c"
[[mount]]
at = "/srv"
image = "oci:image"
mode = "copy-on-write"
[[mount]]
at = "/etc/of-image"
image = "oci:image"
path = "/link"
'''


@pytest.mark.soak_accounts("root")
def test_an_image_is_run_changed_and_exported(as_user: Account) -> None:
    def said(*words: str, status: int = 0) -> str:
        done = as_user.run(as_user.libos(*words))
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    base = tar([("way", None), ("way/page", b"zero\n"), ("way/old", b"x"), ("gone", b"y"), ("in/f", b"z")])
    layout(
        as_user.folder / "image",
        [base, tar([("way/page", b"one\n"), (".wh.gone", b""), ("link", link("/in"))])],
    )
    (as_user.folder / "m.toml").write_text(MANIFEST)
    run = as_user.start(as_user.libos("run", "m.toml"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    lines = [run.stdout.readline().rstrip("\n") for _ in range(9)]
    assert lines == ["one", "/etc/of-image:", "f", "", "/srv:", "in", "link", "way", "1000"]
    held = said("image", "rm", "oci:image", status=125)
    assert "is used by a world: end that first" in held
    run.communicate()
    assert run.returncode == 0
    assert (
        said("diff", "c").splitlines()[:2] == ["M  /srv/way/page  4 bytes", "D  /srv/way/old   1 byte"][::-1]
    )
    assert "whose layers are never written" in said("commit", "c", status=125)
    exported = said("image", "export", "--tag", "v2", "c", "new")
    assert exported.startswith("sha256:")
    assert said("image", "export", "--tag", "v2", "c", "again").splitlines()[0] == exported.splitlines()[0]
    identity = said("image", "import", "oci:new:v2").strip()
    images = json.loads(said("image", "ls", "--json"))["images"]
    (new,) = [each for each in images if each["id"] == identity]
    assert (new["layers"], len(images)) == (3, 2)
    assert (Path(new["root"]) / "way/page").read_text() == "two\n"
    assert not (Path(new["root"]) / "way/old").exists()
    said("image", "rm", "oci:image", identity[:19])
    assert json.loads(said("image", "ls", "--json"))["images"] == []


async def test_a_manifest_with_a_wrong_image_starts_nothing_and_says_why(tmp_path: Path) -> None:
    async with libos.Supervisor() as supervisor:
        with pytest.raises(libos.ManifestError, match=r"image .*/absent: .*No such file or directory"):
            await supervisor.start(
                {"app": {"command": ["true"]}, "mount": [{"at": "/x", "image": "oci:absent"}]}
            )
