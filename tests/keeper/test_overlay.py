"""Making an overlay, for real in a mount namespace of its own."""

from __future__ import annotations

from pathlib import Path

from private import run


def test_an_overlay_that_cannot_be_leaves_nothing_in_the_way_of_the_next(tmp_path: Path) -> None:
    """The folder may be removed while a spare world is made of it; the stage has one name for all."""
    program = """
        from libos.keeper import overlay
        at = sys.argv[1]
        mounts.mount("none", at, "tmpfs")
        stage = at + "/stage"
        for name in ("gone", "there"):
            os.mkdir(f"{at}/{name}")
        trees = [mounts.clone_tree(os.open(f"{at}/{name}", os.O_PATH)) for name in ("gone", "there")]
        os.rmdir(at + "/gone")
        try:
            overlay.make(trees[0], stage)
        except OSError as error:
            print(errno.errorcode[error.errno], os.path.exists(stage))
        merged_fd = overlay.make(trees[1], stage)
        print(os.listdir(f"/proc/self/fd/{merged_fd}"), os.path.exists(stage))
    """
    assert run(program, tmp_path) == "ENOENT False\n[] False\n"
