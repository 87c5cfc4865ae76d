"""The documentation as Sphinx makes it: without a warning, and with all that the code knows."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from node_errors import errors_of_nodes
from schema_keys import tables_of_keys

from libos.cli.sections import COMMANDS
from libos.manifest import json_schema

TOP = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all pages, as HTML; no warning was told."""
    folder = tmp_path_factory.mktemp("pages")
    build(folder, "html")
    return folder / "html" / "docs"


def build(folder: Path, kind: str) -> None:
    words = ["-b", kind, "-c", "docs", "-d", str(folder / "trees"), "-W", "--keep-going", "-q", "."]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(folder / kind)], cwd=TOP, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def text_of(page: Path) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page.read_text())))


@pytest.mark.timeout(180)
def test_the_pages_are_made_without_a_warning_and_link_to_one_another(pages: Path) -> None:
    assert (pages / "index.html").exists()
    there = {path.resolve() for path in pages.parent.rglob("*.html")}
    missing = [
        (page, link)
        for page in pages.rglob("*.html")
        for link in re.findall(r'<a class="reference internal" href="([^"#]+)', page.read_text())
        if link.endswith(".html") and (page.parent / link).resolve() not in there
    ]
    assert missing == []


@pytest.mark.timeout(180)
def test_every_command_has_its_options_on_a_page(pages: Path) -> None:
    text = text_of(pages / "reference/options.html")
    assert [name for name in COMMANDS if f"libos {name} [OPTIONS]" not in text] == []


@pytest.mark.timeout(180)
def test_manual_pages_are_made_of_the_same_text(tmp_path: Path) -> None:
    build(tmp_path, "man")
    assert ".TH" in (tmp_path / "man/libos.1").read_text()
    assert "copy\\-on\\-write" in (tmp_path / "man/libos-manifest.5").read_text()


def test_every_key_of_a_manifest_is_in_the_reference() -> None:
    tables = tables_of_keys()
    schema = json_schema()
    shown = {row[0].strip("`") for _, rows in tables.values() for row in rows}
    defined = {key for table in schema["$defs"].values() for key in table["properties"]}
    assert defined <= shown
    at_the_top = {row[0].strip("`") for row in tables["Top level"][1]}
    assert schema["properties"].keys() == at_the_top | {
        title.strip("`[]") for title in tables if "." not in title and title != "Top level"
    }


def test_the_errors_of_nodes_are_those_of_their_code() -> None:
    tables = {
        title.strip("`"): {row[0]: row[1] for row in rows} for title, (_, rows) in errors_of_nodes().items()
    }
    assert tables["Directory"]["`walk`"] == "`ENOENT`, by default"
    assert tables["Constant"]["`open`"] == "`EACCES`"
    assert "`ENOENT`" in tables["Point"]["`walk`"]
    assert {"HostNode", "MemoryNode", "Union", "ComputedDirectory", "RevokedNode"} <= tables.keys()
