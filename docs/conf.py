"""How Sphinx makes the documentation of libos: `make docs`, into build/docs.

Rules:
- The pages are the Markdown files as they stand in the repository, where they read well too; the source
  folder is therefore the repository, and links between README, docs/ and examples/ lead where they lead
  there.
- What code knows is taken from the code: options of commands, keys of manifests, errors of nodes, the Python
  API.
- A warning is an error (-W), so that a link or a page that nobody reaches is found.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP), str(TOP / "docs" / "extensions")]

project = "libos"
author = "the authors of libos"
copyright = author
version = release = metadata.version("libos")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "from_code"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
root_doc = "docs/index"
include_patterns = ["docs/**", "examples/**/README.md", "*.md"]
# What no page is made of; folders named here are not walked through.
exclude_patterns = [".*", "build", "fs", "net", "libos", "tests", "benchmarks", "scripts", "docs/extensions"]

# Links to a heading, by the names that hosting sites give headings.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "misc.highlighting_failure"
]  # a page shows a program's output in a block of its language

# Docstrings are plain text with names in backquotes.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}

html_theme = "furo"
html_title = f"libos {release}"
html_copy_source = False
# Nothing is fetched from elsewhere: the pages can be read from a disk.
html_theme_options = {"navigation_with_keys": True}

_PAGES = (
    ("docs/reference/options", "libos", "run programs in worlds of their own", 1),
    ("docs/reference/manifest", "libos-manifest", "what an app gets", 5),
    ("docs/reference/namespace", "libos-namespace", "namespaces as text", 5),
    ("docs/reference/events", "libos-events", "what happens in a world, as lines", 5),
    ("docs/reference/stacks", "libos-stack", "several worlds in a file", 5),
    ("docs/tutorial", "libos-tutorial", "the first quarter hour", 7),
)
man_pages = [(source, name, what, [author], section) for source, name, what, section in _PAGES]
man_show_urls = False
