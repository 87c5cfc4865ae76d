"""Sorts the ledger, and writes it back."""

with open("/project/ledger") as file:
    lines = sorted(file)
with open("/project/ledger", "w") as file:
    file.writelines(lines)
print("sorted:", ", ".join(line.strip() for line in lines))
