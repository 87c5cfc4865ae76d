"""Reads what is secret and what is public, and writes a summary into the vault."""

texts = []
for path in ("/plans/engine", "/outbox/letter"):
    with open(path) as file:
        texts.append(file.read())
with open("/vault/summary", "w") as summary:
    summary.writelines(text[:20] + "\n" for text in texts)
print(f"a summary of {len(texts)} texts is in the vault")
