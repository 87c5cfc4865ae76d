"""The example of a slow link runs as it stands, and its figures are those of a link that is slow."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parent.parent.parent / "examples/slow-link/slow_link.py"


@pytest.mark.soak_accounts("root")
def test_the_example_measures_its_link_and_captures_it(as_user: Account) -> None:
    path = Path(as_user.folder) / "link.pcapng"
    done = as_user.run(as_user.python(str(EXAMPLE), "--capture", str(path)))
    assert done.returncode == 0, done.stderr
    connected, trip, rate = (float(each) for each in re.findall(r"([0-9.]+) M?[mb]", done.stdout))
    # Nothing is earlier than its link, nor more than it carries; how near it comes is for `make bench`.
    assert connected > 79
    assert trip > 79
    assert rate < 8.4
    if shutil.which("capinfos"):
        command = ["capinfos", "-cM", str(path)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        packets = re.search(r"Number of packets:\s+(\d+)", shown)
        assert packets is not None
        assert int(packets[1]) > 500  # the kernel shows two at once where it can
