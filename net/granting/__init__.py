"""Dial grants: what one covers, what the grants of a world say together, and the live handle of each."""
