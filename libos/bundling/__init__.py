"""Bundles: a root that holds only what one run of a program used, and the manifest that runs it."""
