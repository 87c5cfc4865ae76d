"""From what a program used to the smallest manifest that covers it.

Pure but for `host` and `world`: values in, values out, so that the rules can be read and tested without
running anything.
"""
