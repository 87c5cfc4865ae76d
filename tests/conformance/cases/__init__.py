"""What every writable tree must do, a case a function. The names are the documentation.

A case gets an empty tree and changes it as a program would; it knows nothing of what stands behind. Each
module here puts its cases into the table.
"""

from conformance.cases import attributes, content, kernel, naming, opening, renaming, seeded
from conformance.cases.table import CASES, KERNEL_CASES, SEEDED_CASES, Case, seed

__all__ = [
    "CASES",
    "KERNEL_CASES",
    "SEEDED_CASES",
    "Case",
    "attributes",
    "content",
    "kernel",
    "naming",
    "opening",
    "renaming",
    "seed",
    "seeded",
]
