"""Multiplies."""

print("6 * 7 =", 6 * 7)
