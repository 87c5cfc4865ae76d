"""renameat2, and being somebody else to file systems."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from libos.kernel import files


def test_exchange_and_noreplace(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    directory_fd = os.open(tmp_path, os.O_PATH)
    try:
        files.rename(directory_fd, b"a", directory_fd, b"b", files.RENAME_EXCHANGE)
        assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")
        with pytest.raises(OSError, match="File exists") as caught:
            files.rename(directory_fd, b"a", directory_fd, b"b", files.RENAME_NOREPLACE)
        assert caught.value.errno == errno.EEXIST
    finally:
        os.close(directory_fd)
