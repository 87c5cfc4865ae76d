"""Routed worlds: a namespace of the gate's own, joined to the app's by a link that can be shaped, captured
and counted, and that carries ranges of addresses.

    sides.py     on which side of the link a socket is made
    netlink.py   messages of rtnetlink(7), by hand: what a range needs is not known ahead
    ranges.py    listeners for ranges of addresses, and the rules that keep all others refused
    shape.py     rate, delay, jitter, loss
    shaping.py   puts them on the link by the kernel
    delayline.py does the same by hand, where the kernel has no netem
    pcapng.py    the format of a capture
    capture.py   writes one
    counters.py  what the link has carried
"""
