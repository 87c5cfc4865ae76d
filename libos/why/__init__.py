"""Why something was refused or granted, and the lines that would grant it.

questions.py   what was asked about: a path, an address, a call, a limit
remedies.py    the lines of a manifest that grant a thing, and the option that does
deciding.py    which rule decided, and where it stands; reaching.py for the network, using.py for the rest
verdict.py     the answer, as a value
writing.py     those lines written into a manifest, its comments and layout kept
"""
